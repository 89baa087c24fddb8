import assert from "node:assert/strict";
import { test } from "node:test";
import { digests } from "../mix.ts";
import { only, Stage } from "./stage.ts";

const two = {
  pools: [{}, { id: "p1" }],
  replicas: [{ loadMs: 200 }, { poolId: "p1", loadMs: 200 }],
};

test("a pool that is drained under load takes no more work, and what waits runs in its sibling [CLOUD-16]", () => {
  const stage = new Stage(two);
  for (const id of ["a", "b", "c", "d", "e"]) stage.submit(id);
  stage.world.operators.drain("p0", 60_000);
  stage.pass(10_000);
  for (const id of ["a", "b", "c", "d", "e"]) {
    assert.equal(stage.outcome(id), "done");
    assert.equal(stage.attempts(id), 1);
  }
  stage.submit("late");
  stage.pass(2000);
  assert.equal(stage.ended("late")?.poolId, "p1");
  stage.end();
});

test("what still runs at the drain deadline is moved to a sibling and the reader sees one stream", () => {
  const stage = new Stage(two);
  stage.submit("a", { maxTokens: 300 });
  stage.pass(1000);
  const poolId = stage.running("a")?.poolId as string;
  stage.world.operators.drain(poolId, 500);
  stage.pass(12_000);
  assert.equal(stage.notes("lost by drain"), 1);
  assert.equal(stage.outcome("a"), "done");
  assert.notEqual(stage.ended("a")?.poolId, poolId);
  assert.deepEqual(stage.seen("a"), stage.undisturbed("a"));
  stage.end();
});

test("a pool without a sibling that is draining refuses with POOL_UNREADY", () => {
  const stage = new Stage();
  stage.world.operators.drain("p0", 1000);
  const [refused] = only(stage.submit("a"), "RefuseTask");
  assert.equal(refused?.code, "POOL_UNREADY");
  stage.end();
});

test("a reload whose model cannot be loaded rolls back, and what waited is served by the old model", () => {
  const stage = new Stage();
  for (const id of ["a", "b", "c"]) stage.submit(id);
  stage.world.operators.reload("p0", "nowhere", 0);
  stage.pass(10_000);
  for (const id of ["a", "b", "c"]) {
    assert.equal(stage.outcome(id), "done");
    assert.deepEqual(stage.seen(id), stage.undisturbed(id));
  }
  assert.equal(stage.world.daemon.core.state.pools.get("p0")?.modelRef, "m");
  stage.end();
});

test("after a reload the pool serves the new model, and tasks for the old one are told that nobody does", () => {
  const stage = new Stage();
  stage.submit("running", { maxTokens: 300 });
  stage.submit("waiting");
  stage.pass(100);
  const { operators } = stage.world;
  operators.swap = (effect) => Object.getPrototypeOf(operators).swap.call(operators, effect, true);
  operators.reload("p0", "m2", 0);
  stage.pass(10_000);
  assert.equal(stage.outcome("waiting"), "POOL_UNAVAILABLE");
  stage.submit("new", { modelRef: "m2" });
  stage.pass(2000);
  assert.equal(stage.outcome("new"), "done");
  stage.end();
});

test("retiring the canary sends every session back to the model it came from [ORCH-3033]", () => {
  const stage = new Stage({
    pools: [{ canary: { modelRef: "m2", percent: 100 } }, { id: "p1", modelRef: "m2" }],
    replicas: [{}, { poolId: "p1", modelDigest: digests.m2 as string }],
  });
  const { daemon } = stage.world;
  const canary = { type: "ModelChanged", modelRef: "m2", digest: digests.m2 as string } as const;
  daemon.say({ ...canary, state: "Canary" });
  stage.submit("a");
  stage.pass(2000);
  assert.equal(stage.ended("a")?.poolId, "p1");
  daemon.say({ ...canary, state: "Retired" });
  stage.submit("b");
  stage.pass(2000);
  assert.equal(stage.ended("b")?.poolId, "p0");
  stage.end();
});

test("a full disk refuses new tasks while those that were accepted end", () => {
  const stage = new Stage();
  stage.submit("a");
  stage.world.daemon.say({ type: "StorageChanged", full: true });
  const [refused] = only(stage.submit("b"), "RefuseTask");
  assert.equal(refused?.code, "POOL_UNAVAILABLE");
  assert.equal(refused?.details.policy_label, "storage");
  stage.pass(2000);
  assert.equal(stage.outcome("a"), "done");
  stage.end();
});

test("a restart loses no task: what ran is replayed, what waited waits on, each byte is seen once", () => {
  const stage = new Stage();
  for (const id of ["a", "b", "c"]) stage.submit(id);
  stage.pass(500);
  assert.ok(stage.seen("a").length > 0);
  stage.world.restart(1000);
  stage.pass(12_000);
  for (const id of ["a", "b", "c"]) {
    assert.equal(stage.outcome(id), "done");
    const seen = stage.seen(id);
    assert.deepEqual(seen, stage.undisturbed(id).slice(0, seen.length));
  }
  assert.equal(stage.attempts("a"), 2);
  assert.equal(stage.attempts("b"), 1);
  stage.end();
});

test("a task that was answered before a restart gets the same answer after it", () => {
  const stage = new Stage();
  const [accepted] = only(stage.submit("a"), "AcceptTask");
  stage.world.restart(500);
  stage.pass(1000);
  const [repeated] = only(stage.submit("a"), "RepeatAnswer");
  assert.deepEqual(repeated?.answer, accepted?.answer);
  const [conflict] = only(stage.submit("a", {}, { fingerprint: "another" }), "RefuseTask");
  assert.equal(conflict?.code, "TASK_CONFLICT");
  stage.end();
});

test("a restart in the middle of a drain goes on draining", () => {
  const stage = new Stage();
  stage.submit("a", { maxTokens: 300 });
  stage.pass(500);
  stage.world.operators.drain("p0", 60_000);
  stage.world.restart(500);
  stage.pass(2000);
  const [refused] = only(stage.submit("b"), "RefuseTask");
  assert.equal(refused?.code, "POOL_UNREADY");
  stage.end();
});

test("engines that keep dying stop their pool from taking work for a while, and no task is tried for ever", () => {
  const breaker = { threshold: 99, openMs: 5000, maxRestarts: 2, windowMs: 60_000 };
  const stage = new Stage({ pools: [{ breaker }], replicas: [{ loadMs: 100 }] });
  stage.submit("a", { maxTokens: 2000 });
  for (let i = 0; i < 4; i++) {
    stage.pass(900);
    stage.fail("p0/r0");
    stage.pass(900);
  }
  assert.ok(stage.notes("restart-storm") > 0);
  stage.pass(60_000);
  assert.ok(stage.attempts("a") <= 3);
  stage.end();
});
