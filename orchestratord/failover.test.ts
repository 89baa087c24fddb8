// What a reader sees when engines fail under a running task: the same bytes as if nothing had happened where
// the pool is strict, one text without a gap where it is not, and one honest error where neither can be.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { type FakeFaults, startFake } from "@llama-orch/engines/fake";
import { type Frame, framesIn, lastOf, textOf, tokenBytes, tokensOf } from "./fixtures/client.ts";
import { equalFacts, type Running, running } from "./fixtures/running.ts";

const paced = { tokensPerSecond: 500 };
const timeouts = { idle_ms: 400, first_token_ms: 800 };
/** Pools fail again and again here, and are to be used all the same. */
const pool = { timeouts, supervision: { threshold: 1000 } };
const strict = await running({ after }, { engines: [paced, paced], pool });
const loose = await running(
  { after },
  { engines: [paced, paced], pool: { ...pool, determinism: "best_effort" } },
);
const onFirst = { placement: { mode: "prefer", prefer_pools: ["pool-0"] }, max_tokens: 40 };

async function undisturbed({ client }: Running): Promise<string> {
  await client.submit({ ...onFirst, task_id: "undisturbed", session_id: "undisturbed" });
  return client.read("undisturbed");
}

const expected = await undisturbed(strict);
await undisturbed(loose);

/** The first engine fails the next task, and the other goes on. */
async function run(on: Running, id: string, faults: FakeFaults): Promise<string> {
  await trusted(on);
  await on.engines[0]?.faults({ ...faults, times: 1 });
  const { status } = await on.client.submit({ ...onFirst, task_id: id, session_id: id });
  assert.equal(status, 202);
  const stream = await on.client.read(id);
  await on.engines[0]?.faults();
  return stream;
}

/** A replica that lost an attempt is left alone for a moment. */
async function trusted(on: Running): Promise<void> {
  const task = on.client.task({ ...onFirst, max_tokens: 1 });
  const { task_id } = task;
  await on.client.call("POST", "/v1/tasks", { ...task, session_id: task_id });
  await on.client.read(task_id);
  if (placesOf(on, task_id)[0] !== "pool-0") await trusted(on);
}

const placesOf = ({ log }: Running, id: string) =>
  log
    .of("task_placed")
    .filter(({ task_id }) => task_id === id)
    .map(({ pool_id }) => pool_id);

const resumedIn = (frames: readonly Frame[]) => frames.find(({ data }) => data.resumed !== undefined)?.data;

const breaks: readonly (readonly [what: string, faults: FakeFaults, reason: string])[] = [
  ["ends the connection early", { cut_after: 11 }, "reset"],
  ["resets the connection", { reset_after: 11 }, "reset"],
  ["goes silent", { stall_after: 11 }, "watchdog"],
  ["says an error", { error_after: 11 }, "reset"],
  ["says what is no JSON", { bad_json_after: 11 }, "reset"],
];

for (const [what, faults, reason] of breaks) {
  const id = what.replaceAll(" ", "-");
  test(
    `a strict stream has equal bytes when its engine ${what}, made by another replica ` +
      "[OC-CORE-DET-1035, OC-CORE-1030]",
    async () => {
      const { client } = strict;
      const before = await client.metric("streams_resumed_total", { kind: "failover" });
      const lost = await client.metric("attempts_lost_total", { reason });
      const stream = await run(strict, id, faults);
      assert.equal(tokenBytes(stream), tokenBytes(expected));
      const frames = framesIn(stream);
      assert.equal(lastOf(frames).data.tokens_out, 40);
      assert.equal(frames.filter(({ event }) => event === "started").length, 1);
      assert.deepEqual(placesOf(strict, id), ["pool-0", "pool-1"]);
      const { resumed, kv_warmth, kv_migrated, attempt } = resumedIn(frames) ?? {};
      assert.deepEqual(
        { resumed, kv_warmth, kv_migrated, attempt },
        { resumed: "replayed", kv_warmth: false, kv_migrated: false, attempt: 2 },
      );
      assert.equal(await client.metric("streams_resumed_total", { kind: "failover" }), before + 1);
      assert.equal(await client.metric("attempts_lost_total", { reason }), lost + 1);
      assert.equal(await client.read(id), stream);
    },
  );
}

test("a best-effort stream goes on with the very next token on another replica", async () => {
  const stream = await run(loose, "continued", { cut_after: 11 });
  const frames = framesIn(stream);
  assert.equal(tokenBytes(stream), tokenBytes(expected));
  assert.equal(lastOf(frames).data.tokens_out, 40);
  assert.deepEqual(placesOf(loose, "continued"), ["pool-0", "pool-1"]);
  assert.equal(resumedIn(frames)?.resumed, "continued");
  assert.equal(resumedIn(frames)?.kv_warmth, false);
});

test("where tokens are not known exactly a best-effort stream ends with WORKER_RESET", async () => {
  const frames = framesIn(await run(loose, "inexact", { lost_ids_at: 3, cut_after: 11 }));
  assert.equal(lastOf(frames).event, "error");
  assert.equal(lastOf(frames).data.code, "WORKER_RESET");
  assert.equal(placesOf(loose, "inexact").length, 1);
});

test("a replay that differs is never shown: WORKER_RESET, and it is counted", async () => {
  const { client } = strict;
  const before = await client.metric("replay_mismatch_total");
  const frames = framesIn(await run(strict, "flipped", { flip_at: 4, cut_after: 11 }));
  assert.equal(lastOf(frames).data.code, "WORKER_RESET");
  assert.ok(tokensOf(frames).length <= 11);
  assert.notEqual(textOf(frames), "");
  assert.equal(await client.metric("replay_mismatch_total"), before + 1);
  assert.equal(strict.log.of("replay_mismatch").at(-1)?.level, "warn");
});

const refusals: readonly (readonly [what: string, faults: FakeFaults])[] = [
  ["answers 500", { status: 500 }],
  ["answers 503, as a busy one does", { no_slot: true }],
  ["never says a first token", { delay_ms: 60_000 }],
];

for (const [what, faults] of refusals) {
  test(`an engine that ${what} costs nothing but an attempt`, async () => {
    const id = what.replaceAll(/[ ,]+/g, "-");
    const stream = await run(strict, id, faults);
    assert.equal(tokenBytes(stream), tokenBytes(expected));
    assert.equal(resumedIn(framesIn(stream)), undefined);
    assert.deepEqual(placesOf(strict, id), ["pool-0", "pool-1"]);
  });
}

test("what the engine refuses for good is not tried again", async () => {
  const { data } = lastOf(framesIn(await run(strict, "refused", { status: 400, message: "no such thing" })));
  assert.equal(data.code, "INVALID_PARAMS");
  assert.equal(data.retriable, false);
  assert.deepEqual(placesOf(strict, "refused"), ["pool-0"]);
});

test("a single engine that stays silent ends its task with DECODE_TIMEOUT, counted once [ORCH-3256]", async (t) => {
  const lone = await running(t, { pool: { timeouts: { idle_ms: 100, first_token_ms: 100 } } });
  await lone.engines[0]?.faults({ delay_ms: 60_000 });
  await lone.client.submit({ task_id: "silent" });
  const { data } = lastOf(await lone.client.frames("silent"));
  assert.equal(data.code, "DECODE_TIMEOUT");
  assert.equal(data.retriable, true);
  assert.equal(await lone.client.metric("tasks_canceled_total", { reason: "watchdog" }), 1);
});

test("a single engine that refuses every attempt exhausts its task before the first token", async (t) => {
  const lone = await running(t);
  await lone.engines[0]?.faults({ status: 500 });
  await lone.client.submit({ task_id: "exhausted" });
  const { data } = lastOf(await lone.client.frames("exhausted"));
  assert.equal(data.code, "REPLICA_EXHAUSTED");
  assert.ok(data.retry_after_ms >= 1);
});

test("a task that waits while its engine goes away runs on the one that is left, and health says why [CHK-L-04]", async (t) => {
  const two = await running(t, { engines: [paced, paced], pool: { timeouts } });
  await two.engines[0]?.faults({ stall_after: 1 });
  for (const id of ["a", "b", "c"]) await two.client.submit({ task_id: id, session_id: id, max_tokens: 20 });
  await two.engines[0]?.stop();
  for (const id of ["a", "b", "c"]) assert.equal(lastOf(await two.client.frames(id)).event, "end");
  const away = await two.log.until(({ event }) => event === "replica_backing_off");
  assert.equal(away.pool_id, "pool-0");
  assert.match(away.last_error ?? "", /does not answer/);
  const health = await two.client.get("/v1/pools/pool-0/health");
  assert.equal(health.body.ready, false);
  assert.match(health.body.last_error, /does not answer/);
});

test("a task whose only engine is started again waits for it and goes on with equal bytes", async (t) => {
  const lone = await running(t, {
    engines: [paced],
    pool: { timeouts },
    config: { nodes: { poll_interval_ms: 1000 } },
  });
  const [engine] = lone.engines;
  await engine?.faults({ stall_after: 11, times: 1 });
  await lone.client.submit({ ...onFirst, task_id: "patient" });
  const reading = await lone.client.follow("patient");
  await reading.tokens(11);
  await engine?.stop();
  const away = await lone.log.until(({ event }) => event === "replica_backing_off");
  assert.match(away.last_error ?? "", /does not answer/);
  const again = await startFake({ ...equalFacts, ...paced }, Number(new URL(engine?.url ?? "").port));
  t.after(() => again.stop());
  assert.equal(tokenBytes(await reading.rest()), tokenBytes(expected));
  assert.equal(placesOf(lone, "patient").length, 2);
  assert.equal(lone.log.of("attempt_lost").length, 1);
});

test("an engine of other arithmetic never goes on for a strict stream [OC-CORE-1032]", async (t) => {
  const two = await running(t, { engines: [paced, { ...paced, computeFingerprint: "other" }] });
  await two.engines[0]?.faults({ cut_after: 11 });
  await two.client.submit({ ...onFirst, task_id: "alone" });
  assert.equal(lastOf(await two.client.frames("alone")).event, "error");
  assert.deepEqual([...new Set(placesOf(two, "alone"))], ["pool-0"]);
  assert.equal((await two.client.get("/v1/capabilities")).body.replica_sets.length, 2);
});

test("an engine that is slow to start is loading first, and ready then", async (t) => {
  const slow = await startFake({ ...equalFacts, loadingMs: 150 });
  const { client, log, daemon } = await running(t, { engines: [], config: { pools: [external(slow.url)] } });
  t.after(() => slow.stop());
  assert.ok(daemon.url.startsWith("http://127.0.0.1:"));
  const early = await client.submit({ task_id: "early" });
  await log.until(({ event }) => event === "replica_ready");
  assert.deepEqual(
    log.all.map(({ event }) => event).filter((event) => event.startsWith("replica_")),
    ["replica_loading", "replica_ready"],
  );
  if (early.status === 202) await log.ended("early");
  assert.equal((await client.submit({ task_id: "late" })).status, 202);
  assert.equal(lastOf(await client.frames("late")).event, "end");
});

const external = (url: string) => ({
  id: "slow",
  engine: "llamacpp",
  model: "haiku",
  devices: [],
  allow_cpu: true,
  determinism: "strict",
  provisioning: { mode: "external", base_url: url },
});
