import assert from "node:assert/strict";
import { test } from "node:test";
import { facts, only, settings, World } from "../fixtures/world.ts";
import type { Pool } from "../state.ts";
import { readinessOf } from "./readiness.ts";

function readiness(world: World) {
  const { state } = world.orchestrator;
  return readinessOf(state, world.nowMs, state.pools.get("p") as Pool);
}

const code = (world: World, taskId: string) => {
  const effects = world.submit(taskId);
  return only(effects, "RefuseTask")[0]?.code ?? only(effects, "AcceptTask")[0]?.type;
};

test("a pool without replicas is down and its tasks are refused with POOL_UNAVAILABLE", () => {
  const world = new World({ ready: false });
  assert.equal(readiness(world).kind, "down");
  assert.equal(code(world, "a"), "POOL_UNAVAILABLE");
});

test("a pool whose replica starts or loads takes tasks and says how long loading will take", () => {
  for (const status of ["starting", "loading", "backing_off"] as const) {
    const world = new World({ ready: false });
    world.replica("p", "r0", { status, readyInMs: 20_000 });
    assert.deepEqual(readiness(world), { kind: "coming", inMs: 20_000 });
    const [accepted] = only(world.submit("a"), "AcceptTask");
    assert.equal(accepted?.answer.preparation[0]?.estimated_ms, 20_000);
    assert.equal(accepted?.answer.preparation[0]?.kind, "pool_warmup");
    world.pass(5000);
    assert.deepEqual(readiness(world), { kind: "coming", inMs: 15_000 });
    assert.deepEqual(world.attempts("a"), []);
    world.replica("p", "r0");
    assert.equal(world.attempts("a").length, 1);
  }
});

test("one that comes too late, failed, stopped, or backs off without an end is down", () => {
  const down = [
    { status: "loading", readyInMs: 60_000 },
    { status: "backing_off", readyInMs: 60_000 },
    { status: "backing_off" },
    { status: "failed", readyInMs: 1 },
    { status: "stopped", readyInMs: 1 },
    { status: "draining" },
  ] as const;
  for (const report of down) {
    const world = new World({ ready: false });
    world.replica("p", "r0", { ...report, lastError: "INSUFFICIENT_VRAM" });
    assert.equal(readiness(world).kind, "down", JSON.stringify(report));
    const [refused] = only(world.submit("a"), "RefuseTask");
    assert.equal(refused?.code, "POOL_UNAVAILABLE");
    assert.match(refused?.message ?? "", /INSUFFICIENT_VRAM/);
  }
});

test("a draining pool and an open breaker are unready, which passes", () => {
  const world = new World();
  world.say({ type: "DrainRequested", poolId: "p", deadlineMs: 1000 });
  assert.equal(readiness(world).kind, "draining");
  assert.equal(code(world, "a"), "POOL_UNREADY");

  const broken = new World();
  for (let i = 0; i < 5; i++) {
    broken.submit(`t${i}`);
    broken.lose(`t${i}`);
    broken.lose(`t${i}`);
  }
  const now = readiness(broken);
  assert.deepEqual(now, { kind: "open", inMs: 300_000 });
  assert.equal(code(broken, "b"), "POOL_UNREADY");
});

test("one replica that is up is enough, whatever the others are", () => {
  const world = new World();
  world.replica("p", "r1", { status: "failed" });
  world.replica("p", "r2", { status: "loading", readyInMs: 5 });
  assert.equal(readiness(world).kind, "serving");
});

test("a replica on a node that nobody hears is neither up nor coming", () => {
  const nodes = { enabled: true, timeoutMs: 1000 };
  const world = new World({ settings: settings({ nodes }), ready: false });
  world.replica("p", "r0", { facts: facts({ nodeId: "n" }) });
  assert.equal(readiness(world).kind, "down");
  world.say({ type: "NodeRegistered", nodeId: "n", address: "http://n" });
  assert.equal(readiness(world).kind, "serving");
  world.replica("p", "r0", { status: "loading", facts: facts({ nodeId: "n" }) });
  assert.equal(readiness(world).kind, "coming");
  world.pass(1000);
  assert.equal(readiness(world).kind, "down");
});
