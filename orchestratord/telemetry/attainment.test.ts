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

/** An interactive task that wanted so many tokens and was over when its readers had so many. */
function over(tokensOut: number, more: Partial<TaskRecord> = {}, maxTokens = 100): TaskRecord {
  const record = aRecord();
  const firstTokenAtMs = tokensOut === 0 ? undefined : 1;
  const task = { ...record.task, maxTokens };
  return { ...record, task, stream: { tokensOut } as TaskStream, firstTokenAtMs, ...more };
}

const batch = { task: { ...aRecord().task, priority: "batch" } } as const;

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
  attainment.ended(over(0, batch), "failed");
  for (let n = 0; n < 4; n++) attainment.ended(over(8, batch), "done");
  attainment.ended(over(0), "failed");
  assert.equal(await shown("batch", "errors"), 1);
  for (let n = 0; n < 9; n++) attainment.ended(over(0, batch), "canceled");
  attainment.ended(over(0, batch), "failed");
  attainment.ended(over(0, batch), "failed");
  assert.ok(Math.abs((await shown("batch", "errors")) - 4 / 7 / 0.8) < 1e-9);
  assert.equal(await shown("interactive", "errors"), 1);
});

test("a token that a failure kept from coming was late; a cancel and a short text say nothing", async (t) => {
  const { attainment, shown } = stage(t);
  const both = async () => [
    await shown("interactive", "first_token"),
    await shown("interactive", "tokens_64"),
  ];
  attainment.ended(over(0), "canceled");
  attainment.ended(over(0), "done");
  attainment.ended(over(63), "canceled");
  attainment.ended(over(63), "done");
  attainment.ended(over(64), "failed");
  attainment.ended(over(0, batch), "failed");
  attainment.ended(over(0, { task: { ...over(0).task, workload: "embedding" } }), "failed");
  assert.deepEqual(await both(), [1, 1]);
  attainment.firstToken("interactive", 10);
  attainment.ended(over(0, {}, 63), "failed");
  assert.deepEqual(await both(), [0.5, 1], "whoever wants 63 tokens waits for no 64th");
  attainment.ended(over(63), "failed");
  assert.deepEqual(await both(), [0.5, 0]);
  attainment.ended(over(0), "failed");
  assert.deepEqual(await both(), [1 / 3, 0]);
  // Its first token came in an earlier process.
  attainment.ended(over(5, { firstTokenAtMs: undefined }), "failed");
  assert.deepEqual(await both(), [1 / 3, 0]);
});

test("what a replica set can do is known by a whole day, however much it ran since", async (t) => {
  const { clock, attainment, shown } = stage(t, { batch: { throughput_ratio: 0.5 } });
  for (let n = 0; n < 1000; n++) attainment.attemptEnded("interactive", "set", ending(1000, 1000));
  clock.nowMs = 3_600_000;
  for (let n = 0; n < 12_000; n++) attainment.attemptEnded("batch", "set", ending(250, 1000));
  assert.equal(await shown("batch", "throughput"), 0.5);
  clock.nowMs = 26 * 3_600_000;
  attainment.attemptEnded("batch", "set", ending(250, 1000));
  assert.equal(await shown("batch", "throughput"), 1);
});

test("a daemon whose engine never begins a stream keeps neither the first nor the 64th token", async (t) => {
  const { client, engines, log } = await running(t, {
    pool: { timeouts: { idle_ms: 100, first_token_ms: 100 } },
    config: { slo: { interactive: { first_token_p95_ms: 50 } } },
  });
  await engines[0]?.faults({ stall_after: 0 });
  await client.submit({ task_id: "silent", max_tokens: 70 });
  assert.equal((await log.ended("silent")).event, "task_failed");
  const body = String((await client.get("/metrics")).body);
  assert.equal(attained(body, "interactive", "first_token"), 0);
  assert.equal(attained(body, "interactive", "tokens_64"), 0);
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
