// What watches a running attempt, and what becomes of a task whose engine says nothing any more; and that a
// pool that is out is told of, and never stood in for by a processor.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTaskRequest, resolveTask } from "@llama-orch/contract";
import { type DispatchAttempt, Orchestrator } from "@llama-orch/core";
import { Client, framesIn, lastOf, tokenBytes } from "./fixtures/client.ts";
import { configFor, type Running, running, type Scope } from "./fixtures/running.ts";
import { settingsOf } from "./settings.ts";

/** The limits of the first attempt on a pool that is configured by nothing but what it must say. */
function limitsOf(scope: Scope, firstTokenMs: number): DispatchAttempt["limits"] {
  const pool = { id: "p", engine: "llamacpp", model: "haiku", devices: [], allow_cpu: true };
  const core = new Orchestrator(1);
  const at = { seq: 1, nowMs: 0 };
  core.handle({ ...at, type: "Configured", settings: settingsOf(configFor(scope, { pools: [pool] })) });
  const facts = { nodeId: null, engineVersion: "1", modelDigest: null, ctxMax: 4096, slotsTotal: 1 };
  const more = { slotsElsewhere: 0, vramFreeBytes: 0, features: [], computeFingerprint: "f" };
  const speed = { tokensPerS: 10, firstTokenMs };
  const where = { poolId: "p", replicaId: "r", status: "ready", epoch: 1 } as const;
  core.handle({ ...at, type: "ReplicaReported", ...where, facts: { ...facts, ...more, speed } });
  const request = parseTaskRequest({ ...new Client("").task(), deadline_ms: 3_600_000 });
  const task = resolveTask(request, { defaultSeed: 1 });
  const said = { jobId: "j", fingerprint: "f", client: "c", promptBytes: 5, bodyBytes: 5, extensions: [] };
  const effects = core.handle({ ...at, type: "TaskSubmitted", task, ...said });
  const dispatched = effects.find(({ type }) => type === "DispatchAttempt");
  return (dispatched as DispatchAttempt).limits;
}

/** Whether any slot of a fake engine is at work. */
async function isBusy({ engines }: Running, n: number): Promise<boolean> {
  const slots = (await (await fetch(`${engines[n]?.url}/slots`)).json()) as { is_processing: boolean }[];
  return slots.some(({ is_processing }) => is_processing);
}

test(
  "an attempt whose engine is silent, at first or between tokens, or too long at work, is ended, its slot is free, " +
    "and the task is tried elsewhere until its tries are used up [ORCH-3016]",
  async (t) => {
    const quick = limitsOf(t, 10);
    assert.deepEqual([quick.firstTokenMs, quick.idleMs, quick.wallMs], [30_000, 5000, null]);
    assert.equal(limitsOf(t, 20_000).firstTokenMs, 60_000);
    const timeouts = { idle_ms: 80, first_token_ms: 120, wall_ms: 500 };
    const placement = { mode: "prefer", prefer_pools: ["pool-0"] };
    for (const silence of [{ delay_ms: 60_000 }, { stall_after: 3 }]) {
      const two = await running(t, { engines: [{}, {}], pool: { timeouts } });
      const { client, engines, log } = two;
      await client.submit({ task_id: "plain", placement });
      const expected = tokenBytes(await client.read("plain"));
      await engines[0]?.faults({ ...silence, times: 1 });
      await client.submit({ task_id: "silent", placement });
      assert.equal(tokenBytes(await client.read("silent")), expected);
      const places = log.of("task_placed").filter(({ task_id }) => task_id === "silent");
      assert.deepEqual(
        places.map(({ pool_id }) => pool_id),
        ["pool-0", "pool-1"],
      );
      assert.equal(await isBusy(two, 0), false);
      assert.equal(await client.metric("attempts_lost_total", { reason: "watchdog" }), 1);
      assert.equal(await client.metric("active_leases"), 0);
    }
    const lone = await running(t, { engines: [{ tokensPerSecond: 50 }], pool: { timeouts } });
    await lone.client.submit({ task_id: "long", max_tokens: 1000 });
    const { data } = lastOf(await lone.client.frames("long"));
    assert.equal(data.code, "DECODE_TIMEOUT");
    assert.equal(await lone.client.metric("tasks_canceled_total", { reason: "watchdog" }), 1);
    assert.equal(await isBusy(lone, 0), false);
  },
);

test(
  "while the GPU's engine is out a task fails at once and may come again, and what ran there is not run on a processor " +
    "[ORCH-3018]",
  async (t) => {
    const on = await running(t, {
      engines: [
        { computeFingerprint: "gpu", compute: "cuda" },
        { computeFingerprint: "cpu", compute: "cpu" },
      ],
    });
    const { client, engines, log } = on;
    const pinned = { placement: { mode: "prefer", prefer_pools: ["pool-0"], allow_fallback: false } };
    await engines[0]?.faults({ stall_after: 2 });
    await client.submit({ task_id: "running", ...pinned });
    const reading = await client.follow("running");
    await reading.tokens(2);
    await engines[0]?.stop();
    await log.until(({ event, pool_id }) => event === "replica_backing_off" && pool_id === "pool-0");
    const startedAtMs = performance.now();
    const refused = await client.submit({ task_id: "new", ...pinned });
    assert.ok(performance.now() - startedAtMs < 1000);
    const { code, retriable, retry_after_ms } = refused.body;
    assert.deepEqual([refused.status, code, retriable], [503, "POOL_UNAVAILABLE", true]);
    assert.ok(retry_after_ms >= 1);
    const metrics = await (await fetch(`${engines[1]?.url}/metrics`)).text();
    assert.match(metrics, /^llamacpp:tokens_predicted_total 0$/m);
    assert.equal(framesIn(reading.text).filter(({ event }) => event === "token").length, 2);
    await client.cancel("running");
  },
);
