import assert from "node:assert/strict";
import { test } from "node:test";
import { facts, only, pool, settings, World } from "../fixtures/world.ts";
import type { LostReason } from "../outcome.ts";

const aborted = { ending: { kind: "aborted" } } as const;
const notes = (world: World, about: string) => world.of("Note").filter((note) => note.about === about);
const where = (world: World, taskId: string) =>
  world.attempts(taskId).map(({ poolId, replicaId, epoch }) => `${poolId}/${replicaId}.${epoch}`);

function code(world: World, taskId: string): string | undefined {
  const outcome = world.outcome(taskId);
  return outcome?.kind === "failed" ? outcome.code : outcome?.kind;
}

test("a process that is gone loses what it ran, and its successor has all its slots free", () => {
  const world = new World();
  world.submit("a");
  world.submit("b");
  const effects = world.replica("p", "r0", { epoch: 2 });
  assert.deepEqual(only(effects, "AbortAttempt"), [
    { type: "AbortAttempt", jobId: "job-a", attempt: 1, reason: "crash" },
  ]);
  assert.deepEqual(where(world, "b"), ["p/r0.2"]);
  world.end("a", { ...aborted, frames: 3 });
  assert.equal(world.outcome("a"), undefined);
  world.end("b");
  assert.deepEqual(where(world, "a"), ["p/r0.1", "p/r0.2"]);
});

test("reports of an older process change nothing", () => {
  const world = new World();
  world.replica("p", "r0", { epoch: 2 });
  world.submit("a");
  const before = JSON.stringify(world.orchestrator.snapshot());
  assert.deepEqual(world.replica("p", "r0", { epoch: 1, status: "failed" }), []);
  assert.equal(JSON.stringify(world.orchestrator.snapshot()), before);
});

test("a replica keeps its attempts while it says it is ready or draining, and loses them otherwise", () => {
  for (const status of ["ready", "draining"] as const) {
    const world = new World();
    world.submit("a");
    assert.deepEqual(only(world.replica("p", "r0", { status }), "AbortAttempt"), []);
  }
  for (const status of ["starting", "loading", "backing_off", "failed", "stopped"] as const) {
    const world = new World();
    world.submit("a");
    assert.equal(only(world.replica("p", "r0", { status }), "AbortAttempt").length, 1);
  }
});

test("memory that ran out on the device, on the host, and other deaths are told apart", () => {
  for (const reason of ["vram_oom", "host_oom", "driver_reset", "hung", "crash"] as const) {
    const world = new World();
    world.submit("a");
    world.replica("p", "r0", { status: "backing_off", reason });
    world.end("a", aborted);
    assert.deepEqual(
      notes(world, "attempt-lost").map(({ label }) => label),
      [reason satisfies LostReason],
    );
  }
});

test("a driver reset takes everything on the same device of the same node, and nothing else", () => {
  const pools = [
    pool({ deviceMask: "0,1" }),
    pool({ id: "near", deviceMask: "1,2" }),
    pool({ id: "apart", deviceMask: "2" }),
    pool({ id: "far", deviceMask: "0" }),
  ];
  const world = new World({ settings: settings({ pools }), ready: false });
  const nodes = { p: "n", near: "n", apart: "n", far: "other" };
  for (const [id, nodeId] of Object.entries(nodes)) world.replica(id, "r0", { facts: facts({ nodeId }) });
  for (const id of ["a", "b", "c", "d"]) world.submit(id);
  const reset = { status: "backing_off", reason: "driver_reset", facts: facts({ nodeId: "n" }) } as const;
  const effects = world.replica("p", "r0", reset);
  const hit = only(effects, "AbortAttempt").map(
    ({ jobId }) => world.of("DispatchAttempt").find((attempt) => attempt.jobId === jobId)?.poolId,
  );
  assert.deepEqual(hit.sort(), ["near", "p"]);
  assert.ok(only(effects, "AbortAttempt").every(({ reason }) => reason === "driver_reset"));
  world.replica("p", "r0", reset);
  assert.equal(notes(world, "driver-reset").length, 1);
});

test("another engine version takes over what was not delivered and ends what was on strict pools", () => {
  const world = new World({ slots: 2 });
  for (const id of ["fresh", "delivered", "waits"]) world.submit(id);
  world.replica("p", "r0", { epoch: 2, facts: facts({ engineVersion: "b2" }) });
  assert.deepEqual(where(world, "waits"), ["p/r0.2"]);
  world.end("waits");
  world.end("fresh", aborted);
  assert.deepEqual(where(world, "fresh"), ["p/r0.1", "p/r0.2"]);
  world.end("delivered", { ...aborted, frames: 1 });
  assert.equal(code(world, "delivered"), "WORKER_RESET");
});

test("a delivered task that waits for its set ends when that comes back as another engine version", () => {
  const world = new World();
  world.submit("a");
  world.replica("p", "r0", { status: "backing_off" });
  world.lose("a", { frames: 1 });
  assert.equal(world.outcome("a"), undefined);
  world.replica("p", "r0", { epoch: 2, facts: facts({ engineVersion: "b2" }) });
  assert.equal(code(world, "a"), "WORKER_RESET");
});

test("a best-effort task is continued by another engine version", () => {
  const world = new World({ settings: settings({ pools: [pool({ determinism: "best_effort" })] }) });
  world.submit("a");
  world.replica("p", "r0", { epoch: 2, facts: facts({ engineVersion: "b2" }) });
  world.end("a", { ...aborted, frames: 3 });
  assert.equal(world.attempts("a")[1]?.resume, "continued");
});

test("a process that starts and does not know yet what it serves keeps the place of the last one", () => {
  const world = new World();
  world.submit("a");
  world.submit("waits");
  const { computeFingerprint: _unknown, ...rest } = facts({ modelDigest: null, engineVersion: null });
  world.replica("p", "r0", { epoch: 2, status: "starting", facts: rest });
  assert.equal(world.outcome("waits"), undefined);
  world.lose("a", { frames: 2 });
  world.replica("p", "r0", { epoch: 2 });
  assert.equal(world.attempts("a")[1]?.resume, "replayed");
});

test("the last replica of a model takes the tasks that wait for it along", () => {
  const world = new World();
  world.submit("a");
  world.submit("waits");
  world.say({ type: "ReplicaRemoved", poolId: "p", replicaId: "r0", reason: "crash" });
  assert.equal(code(world, "waits"), "POOL_UNAVAILABLE");
  assert.equal(world.outcome("a"), undefined);
  world.end("a", aborted);
  assert.equal(code(world, "a"), "REPLICA_EXHAUSTED");
  assert.equal(world.orchestrator.state.sets.size, 0);
});

test("a replica that was taken for gone and reports again as the same process has its slots taken", () => {
  const world = new World();
  world.submit("a");
  world.say({ type: "ReplicaRemoved", poolId: "p", replicaId: "r0", reason: "node" });
  world.replica("p", "r0");
  world.submit("b");
  assert.deepEqual(where(world, "b"), []);
  world.end("a", aborted);
  world.end("a");
  assert.deepEqual(where(world, "b"), ["p/r0.1"]);
});

test("a pool whose engines keep dying stops taking work for as long as its breaker is open", () => {
  const breaker = { threshold: 5, openMs: 10_000, maxRestarts: 2, windowMs: 60_000 };
  const world = new World({ settings: settings({ pools: [pool({ breaker })] }) });
  world.replica("p", "r0", { epoch: 2 });
  world.replica("p", "r0", { epoch: 3 });
  assert.equal(notes(world, "restart-storm").length, 0);
  world.pass(60_000);
  world.replica("p", "r0", { epoch: 4 });
  world.replica("p", "r0", { epoch: 5 });
  assert.equal(notes(world, "restart-storm").length, 0);
  world.submit("waits");
  world.replica("p", "r0", { epoch: 6 });
  assert.equal(notes(world, "restart-storm").length, 1);
  assert.equal(only(world.submit("b"), "RefuseTask")[0]?.code, "POOL_UNREADY");
  world.end("waits", aborted);
  assert.equal(world.attempts("waits").length, 1);
  world.pass(10_000);
  assert.equal(world.attempts("waits").length, 2);
});

test("what a replica has learnt about its speed outlives its process, as long as it serves the same", () => {
  const world = new World();
  world.submit("a");
  world.end("a", { prefillMs: 100, decodeMs: 900 });
  const predicted = () => {
    const [accepted] = only(world.submit(`t${world.of("AcceptTask").length}`), "AcceptTask");
    return accepted?.answer.predictedStartMs;
  };
  world.replica("p", "r0", { epoch: 2 });
  world.submit("b");
  assert.equal(predicted(), 1000);
});
