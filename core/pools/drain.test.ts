import assert from "node:assert/strict";
import { test } from "node:test";
import { facts, only, pool, settings, World } from "../fixtures/world.ts";
import { Orchestrator } from "../orchestrator.ts";

/** Two pools of one replica and slot each, in one set. */
function siblings(): World {
  const world = new World({ settings: settings({ pools: [pool(), pool({ id: "q" })] }) });
  world.replica("q", "r0");
  return world;
}

const drain = (world: World, poolId = "p", deadlineMs = 10_000) =>
  world.say({ type: "DrainRequested", poolId, deadlineMs });

const waitingIn = (world: World, poolId: string) => {
  const waiting = world.orchestrator.state.pools.get(poolId)?.waiting;
  return [...(waiting?.interactive.items() ?? [])].map(({ jobId }) => jobId);
};

test("a pool that has nothing to do is drained at once", () => {
  const world = new World();
  const effects = drain(world);
  assert.deepEqual(
    effects.filter(({ type }) => type !== "ClearTimer"),
    [
      { type: "DrainPool", poolId: "p", deadlineAtMs: 10_000 },
      { type: "EndDrain", poolId: "p", forceStopped: false, durationMs: 0, finalLeaseCount: 0 },
    ],
  );
  const [refused] = only(world.submit("a"), "RefuseTask");
  assert.equal(refused?.code, "POOL_UNREADY");
});

test("what runs may finish until the deadline; then the drain ends and says how long it took", () => {
  const world = new World();
  world.submit("a");
  assert.deepEqual(only(drain(world), "EndDrain"), []);
  world.pass(4000);
  assert.deepEqual(only(world.end("a"), "EndDrain"), [
    { type: "EndDrain", poolId: "p", forceStopped: false, durationMs: 4000, finalLeaseCount: 0 },
  ]);
  assert.equal(world.outcome("a")?.kind, "done");
  assert.deepEqual(only(world.pass(100_000), "AbortAttempt"), []);
});

test("what still runs at the deadline is lost there and resumed by a sibling", () => {
  const world = siblings();
  world.submit("a");
  drain(world, world.attempts("a")[0]?.poolId);
  const effects = world.pass(10_000);
  assert.deepEqual(only(effects, "AbortAttempt"), [
    { type: "AbortAttempt", jobId: "job-a", attempt: 1, reason: "drain" },
  ]);
  const after = world.end("a", { ending: { kind: "aborted" }, frames: 2 });
  assert.equal(only(after, "EndDrain")[0]?.forceStopped, true);
  const [first, second] = world.attempts("a");
  assert.notEqual(second?.poolId, first?.poolId);
  assert.equal(second?.resume, "replayed");
});

test("a draining pool takes no task, while its siblings take all that wait", () => {
  const world = siblings();
  for (const id of ["a", "b", "c", "d"]) world.submit(id);
  drain(world, "p");
  assert.deepEqual(waitingIn(world, "p"), []);
  assert.deepEqual(waitingIn(world, "q"), ["job-c", "job-d"]);
  for (const id of ["a", "b", "c", "d"]) world.end(id);
  const later = world.of("DispatchAttempt").slice(2);
  assert.deepEqual(
    later.map(({ jobId, poolId }) => `${jobId} ${poolId}`),
    ["job-c q", "job-d q"],
  );
});

test("a task that is pinned to the pool waits there for its deadline", () => {
  const world = siblings();
  const pin = { mode: "pin", pinPoolId: "p", preferPools: [], avoidPools: [], allowFallback: true } as const;
  world.submit("a", { placement: pin });
  world.submit("b", { placement: pin, deadlineMs: 20_000 });
  drain(world);
  world.end("a");
  assert.deepEqual(waitingIn(world, "p"), ["job-b"]);
  world.pass(20_000);
  const outcome = world.outcome("b");
  assert.ok(outcome?.kind === "failed" && outcome.code === "DEADLINE_UNMET");
});

test("without a sibling what waits stays, and runs when the pool is brought back", () => {
  const world = new World();
  world.submit("a");
  world.submit("b");
  drain(world);
  world.end("a");
  assert.deepEqual(world.attempts("b"), []);
  world.say({ type: "ReloadRequested", poolId: "p", modelRef: "m", drainDeadlineMs: 0 });
  world.say({ type: "ReloadEnded", poolId: "p", ok: true, engineVersion: "b1" });
  assert.equal(world.attempts("b").length, 1);
});

test("an attempt that a drain has lost goes to another set that can serve it", () => {
  const world = new World({ settings: settings({ pools: [pool(), pool({ id: "q" })] }) });
  world.submit("a");
  world.replica("q", "r0", { facts: facts({ computeFingerprint: "other" }) });
  drain(world, "p", 0);
  world.pass(0);
  world.end("a", { ending: { kind: "aborted" } });
  assert.deepEqual(
    world.attempts("a").map(({ poolId }) => poolId),
    ["p", "q"],
  );
});

test("draining again may only bring the deadline forward", () => {
  const world = new World();
  world.submit("a");
  drain(world, "p", 10_000);
  assert.equal(only(drain(world, "p", 50_000), "DrainPool")[0]?.deadlineAtMs, 10_000);
  assert.equal(only(drain(world, "p", 2000), "DrainPool")[0]?.deadlineAtMs, 2000);
  assert.equal(only(world.pass(2000), "AbortAttempt").length, 1);
});

test("a restart does not undo a drain, nor forget its deadline", () => {
  const world = new World();
  world.submit("a");
  drain(world);
  world.orchestrator = Orchestrator.restore(JSON.parse(JSON.stringify(world.orchestrator.snapshot())));
  world.say({ type: "Restarted" });
  assert.equal(only(world.submit("b"), "RefuseTask")[0]?.code, "POOL_UNREADY");
  assert.equal(only(world.pass(10_000), "AbortAttempt").length, 1);
  world.end("a", { ending: { kind: "aborted" } });
  assert.equal(world.of("EndDrain").length, 1);
  world.orchestrator = Orchestrator.restore(world.orchestrator.snapshot());
  assert.equal(only(world.submit("c"), "RefuseTask")[0]?.code, "POOL_UNREADY");
});

test("a cancelled attempt holds up its drain until its engine has stopped, as it holds its slot", () => {
  const world = new World();
  world.submit("a");
  world.cancel("a");
  assert.deepEqual(only(drain(world), "EndDrain"), []);
  assert.equal(only(world.end("a", { ending: { kind: "aborted" } }), "EndDrain").length, 1);
});
