import assert from "node:assert/strict";
import { test } from "node:test";
import type { Task } from "@llama-orch/contract";
import fc from "fast-check";
import type { ReplicaStatus } from "../events.ts";
import { facts, only, pool, settings, task, World } from "../fixtures/world.ts";
import type { PoolSettings } from "../settings.ts";
import { inShare, modelFor } from "./canary.ts";

function split(percent: number, label?: string): World {
  const canary = { modelRef: "n", percent, ...(label !== undefined && { label }) };
  const pools = [pool({ canary }), pool({ id: "q", modelRef: "n" })];
  const world = new World({ settings: settings({ pools }), slots: 1 });
  world.replica("q", "r0", { facts: facts({ modelDigest: `sha256:${"1".repeat(64)}` }) });
  return world;
}

const sessions = Array.from({ length: 2000 }, (_, i) => `session-${i}`);
const goes = (world: World, sessionId: string) => modelFor(world.orchestrator.state, task({ sessionId }));

test("a canary gets its percentage of sessions, and a session always goes the same way [ORCH-3033]", () => {
  for (const percent of [0, 1, 10, 50, 100]) {
    const world = split(percent);
    const share = sessions.filter((session) => goes(world, session) === "n").length / sessions.length;
    assert.ok(Math.abs(share - percent / 100) < 0.03, `${percent}% became ${share}`);
  }
  fc.assert(
    fc.property(fc.string(), fc.nat({ max: 100 }), fc.nat({ max: 100 }), (session, one, other) => {
      const [low, high] = one < other ? [one, other] : [other, one];
      assert.ok(!inShare(session, low) || inShare(session, high));
      assert.ok(!inShare(session, 0) && inShare(session, 100));
    }),
  );
});

test("a session of the canary's share runs in the canary's pool", () => {
  const world = split(50);
  for (const sessionId of sessions.slice(0, 20)) {
    world.submit(sessionId, { sessionId });
    const [attempt] = world.attempts(sessionId);
    assert.equal(attempt?.poolId, goes(world, sessionId) === "n" ? "q" : "p");
    world.end(sessionId);
  }
});

test("a canary gets every task with its label, whatever the session, and beside its share [ORCH-3033]", () => {
  const went = (world: World, id: string, fields: Partial<Task>) =>
    only(world.submit(id, fields), "AcceptTask")[0]?.poolId;
  const alone = split(0, "trial");
  assert.equal(went(alone, "a", { label: "trial", sessionId: "s" }), "q");
  assert.equal(went(alone, "b", { sessionId: "s" }), "p");
  assert.equal(went(alone, "c", { label: "trial 2", sessionId: "s" }), "p");
  assert.equal(went(split(0), "d", { label: "trial" }), "p");
  const both = split(100, "trial");
  assert.deepEqual([went(both, "e", {}), went(both, "f", { label: "trial" })], ["q", "q"]);
  alone.say({ type: "ModelChanged", modelRef: "n", digest: null, state: "Retired" });
  assert.equal(went(alone, "g", { label: "trial" }), "p");
});

test("one action sends everybody back: the canary is retired, or its pool reloaded with the old model [ORCH-3033]", () => {
  const retired = split(100);
  assert.ok(sessions.every((session) => goes(retired, session) === "n"));
  retired.say({ type: "ModelChanged", modelRef: "n", digest: null, state: "Retired" });
  assert.ok(sessions.every((session) => goes(retired, session) === "m"));
  assert.equal(only(retired.submit("a"), "DispatchAttempt")[0]?.poolId, "p");

  const reloaded = split(100);
  reloaded.say({ type: "ReloadRequested", poolId: "q", modelRef: "m", drainDeadlineMs: 0 });
  assert.ok(sessions.every((session) => goes(reloaded, session) === "m"));
  assert.equal(only(reloaded.submit("a"), "DispatchAttempt")[0]?.poolId, "p");
  reloaded.replica("q", "r0", { epoch: 2 });
  reloaded.say({ type: "ReloadEnded", poolId: "q", ok: true, engineVersion: "b1" });
  assert.ok(sessions.every((session) => goes(reloaded, session) === "m"));
  assert.equal(only(reloaded.submit("b"), "DispatchAttempt")[0]?.poolId, "q");
});

test("a canary that is not served takes nobody away", () => {
  const world = split(100);
  world.say({ type: "DrainRequested", poolId: "q", deadlineMs: 0 });
  assert.equal(goes(world, "default/s"), "m");
  world.say({ type: "ModelChanged", modelRef: "n", digest: null, state: "Canary" });
  assert.equal(goes(split(100), "default/s"), "n");
});

test("a canary that cannot run a task leaves it to the main pool", () => {
  const main = pool({ canary: { modelRef: "n", percent: 100 } });
  const modelDigest = `sha256:${"1".repeat(64)}`;
  const beside = (canary: Partial<PoolSettings>, status?: ReplicaStatus): World => {
    const pools = [main, pool({ id: "q", modelRef: "n", ...canary })];
    const world = new World({ settings: settings({ pools }) });
    if (status !== undefined) world.replica("q", "r0", { status, facts: facts({ modelDigest }) });
    return world;
  };
  const poolOf = (world: World, fields: Partial<Task> = {}) =>
    only(world.submit("a", fields), "AcceptTask")[0]?.poolId;
  assert.equal(poolOf(beside({}, "ready")), "q");
  assert.equal(poolOf(beside({}, "loading")), "q");
  assert.equal(poolOf(beside({})), "p");
  assert.equal(poolOf(beside({}, "failed")), "p");
  assert.equal(poolOf(beside({ engine: "vllm" }, "ready")), "p");
  assert.equal(poolOf(beside({ determinism: "best_effort" }, "ready")), "q");
  assert.equal(poolOf(beside({ determinism: "best_effort" }, "ready"), { determinism: "strict" }), "p");
});
