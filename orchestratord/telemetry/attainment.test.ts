// The objectives of a service level, as a scrape shows them: from what was measured, and of a whole daemon.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Priority } from "@llama-orch/contract";
import type { AttemptEnded } from "@llama-orch/core";
import { aRecord } from "../fixtures/records.ts";
import { configFor, running } from "../fixtures/running.ts";
import type { TaskStream } from "../streaming/task-stream.ts";
import type { TaskRecord } from "../task-record.ts";
import { Attainment } from "./attainment.ts";
import { MetricRegistry } from "./registry.ts";

const windowMs = 1000;

function stage(t: TestContext, slo: object = {}) {
  const clock = { nowMs: 0 };
  const config = configFor(t, { pools: [], slo });
  const attainment = new Attainment({ slo: config.slo, windowMs, nowMs: () => clock.nowMs });
  const registry = new MetricRegistry("orchestratord");
  t.after(() => registry.close());
  const shown = async (priority: Priority, objective: string) => {
    attainment.fill(registry);
    return attained(await registry.text(), priority, objective);
  };
  return { clock, attainment, shown };
}

function attained(text: string, priority: Priority, objective: string): number {
  const labels = `priority="${priority}",objective="${objective}"`;
  const [, value] = new RegExp(`^slo_attainment_ratio\\{${labels}\\} (\\S+)$`, "m").exec(text) ?? [];
  assert.ok(value !== undefined, `${priority} has no ${objective}`);
  return Number(value);
}

/** A task whose readers got so many tokens at so many milliseconds. */
function reading(clock: { nowMs: number }, attainment: Attainment, more: Partial<TaskRecord> = {}) {
  let tokensOut = 0;
  return (atMs: number, tokens: number) => {
    clock.nowMs = atMs;
    tokensOut += tokens;
    const stream = { tokensOut } as TaskStream;
    attainment.delivered({ ...aRecord(), startedAtMs: 0, stream, ...more }, tokens);
  };
}

const ending = (attemptTokens: number, decodeMs: number) => ({ attemptTokens, decodeMs }) as AttemptEnded;

test("a class of which nothing is known keeps every objective", async (t) => {
  const { shown } = stage(t);
  for (const objective of ["errors", "first_token", "tokens_64"]) {
    assert.equal(await shown("interactive", objective), 1, objective);
  }
  for (const objective of ["errors", "throughput"])
    assert.equal(await shown("batch", objective), 1, objective);
});

test("the time of 64 tokens is that of the 64th, once per task, and of interactive ones alone", async (t) => {
  const { clock, attainment, shown } = stage(t, { interactive: { tokens_64_p95_ms: 500 } });
  const late = reading(clock, attainment);
  late(100, 63);
  assert.equal(await shown("interactive", "tokens_64"), 1);
  late(501, 1);
  assert.equal(await shown("interactive", "tokens_64"), 0);
  late(502, 100);
  const punctual = reading(clock, attainment);
  punctual(100, 60);
  punctual(500, 10);
  const task = { ...aRecord().task, priority: "batch" } as const;
  reading(clock, attainment, { task })(600, 64);
  reading(clock, attainment, { isRecovered: true })(600, 64);
  assert.equal(await shown("interactive", "tokens_64"), 0.5);
  clock.nowMs = 5000;
  assert.equal(await shown("interactive", "tokens_64"), 1);
});

test("batch streams are measured by what their own replica set has shown it can do", async (t) => {
  const { clock, attainment, shown } = stage(t, { batch: { throughput_ratio: 0.5 } });
  attainment.attemptEnded("interactive", "fast", ending(1000, 1000));
  attainment.attemptEnded("batch", "slow", ending(20, 1000));
  assert.equal(await shown("batch", "throughput"), 1);
  attainment.attemptEnded("batch", "fast", ending(200, 1000));
  // 220 tokens of 1020.
  assert.ok(Math.abs((await shown("batch", "throughput")) - 220 / 1020 / 0.5) < 1e-9);
  clock.nowMs = 2000;
  assert.equal(await shown("batch", "throughput"), 1);
  // What the set can do is remembered for longer than what it did lately.
  attainment.attemptEnded("batch", "fast", ending(250, 1000));
  assert.equal(await shown("batch", "throughput"), 0.5);
});

test("an attempt that was over at once says nothing about a speed", async (t) => {
  const { attainment, shown } = stage(t);
  attainment.attemptEnded("batch", "set", ending(100, 100));
  attainment.attemptEnded("interactive", "set", ending(100, 1));
  attainment.attemptEnded("interactive", "set", ending(2, 0));
  attainment.attemptEnded("batch", "set", ending(4, 400));
  assert.equal(await shown("batch", "throughput"), 1);
});

test("failures count against the share that may fail", async (t) => {
  const { attainment, shown } = stage(t, { batch: { error_rate: 0.2 }, interactive: { error_rate: 1 } });
  for (const failed of [true, false, false, false, false]) attainment.ended("batch", failed);
  attainment.ended("interactive", true);
  assert.equal(await shown("batch", "errors"), 1);
  attainment.ended("batch", true);
  attainment.ended("batch", true);
  assert.ok(Math.abs((await shown("batch", "errors")) - 4 / 7 / 0.8) < 1e-9);
  assert.equal(await shown("interactive", "errors"), 1);
});

test("a daemon shows how it keeps its objectives of 64 tokens and of batch speed", async (t) => {
  const { client, log } = await running(t, {
    engines: [{ tokensPerSecond: 1000 }, { tokensPerSecond: 200 }],
    config: { slo: { interactive: { tokens_64_p95_ms: 30, first_token_p95_ms: 60_000 } } },
  });
  const run = async (task_id: string, fields: object, pool: string) => {
    const placement = { mode: "pin", pin_pool_id: pool };
    await client.submit({ task_id, placement, ...fields });
    await log.ended(task_id);
  };
  await run("timed", { max_tokens: 70 }, "pool-0");
  await run("slow", { max_tokens: 40, priority: "batch" }, "pool-1");
  const { body } = await client.get("/metrics");
  assert.equal(attained(String(body), "interactive", "first_token"), 1);
  assert.equal(attained(String(body), "interactive", "tokens_64"), 0);
  const throughput = attained(String(body), "batch", "throughput");
  assert.ok(throughput > 0.05 && throughput < 0.6, String(throughput));
});
