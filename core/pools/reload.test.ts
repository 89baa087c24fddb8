import assert from "node:assert/strict";
import { test } from "node:test";
import { facts, only, pool, settings, World } from "../fixtures/world.ts";

const digestOfN = `sha256:${"1".repeat(64)}`;
const types = (effects: readonly { readonly type: string }[]) =>
  effects.map(({ type }) => type).filter((type) => type !== "ClearTimer" && type !== "SetTimer");

function reload(world: World, modelRef: string, poolId = "p") {
  return world.say({ type: "ReloadRequested", poolId, modelRef, drainDeadlineMs: 10_000 });
}

function ended(world: World, ok: boolean, fields: { engineVersion?: string; error?: string } = {}) {
  return world.say({ type: "ReloadEnded", poolId: "p", ok, engineVersion: "b1", ...fields });
}

/** What a client could see of the pool. */
function visible(world: World) {
  const { pools, sets } = world.orchestrator.snapshot();
  return { pools, sets };
}

test("reloading what is served already changes nothing", () => {
  const world = new World();
  const before = JSON.stringify(world.orchestrator.snapshot());
  assert.deepEqual(reload(world, "m"), [
    { type: "AnswerReload", poolId: "p", modelRef: "m", ok: true, engineVersion: "b1", durationMs: 0 },
  ]);
  assert.equal(JSON.stringify(world.orchestrator.snapshot()), before);
});

test("a reload drains the pool, swaps its model and then serves the new one alone", () => {
  const world = new World();
  world.submit("a");
  assert.deepEqual(types(reload(world, "n")), ["DrainPool"]);
  assert.equal(only(world.submit("b"), "RefuseTask")[0]?.code, "POOL_UNREADY");
  world.pass(1000);
  const swap = only(world.end("a"), "SwapModel");
  assert.deepEqual(swap, [{ type: "SwapModel", poolId: "p", fromModelRef: "m", toModelRef: "n" }]);
  world.replica("p", "r0", { epoch: 2, facts: facts({ modelDigest: digestOfN, engineVersion: "b2" }) });
  assert.equal(only(world.submit("c"), "RefuseTask").length, 1);
  world.pass(500);
  const [answer] = only(ended(world, true, { engineVersion: "b2" }), "AnswerReload");
  assert.deepEqual(answer, {
    type: "AnswerReload",
    poolId: "p",
    modelRef: "n",
    ok: true,
    engineVersion: "b2",
    durationMs: 1500,
  });
  assert.equal(only(world.submit("d"), "RefuseTask")[0]?.code, "POOL_UNAVAILABLE");
  assert.equal(only(world.submit("e", { modelRef: "n" }), "DispatchAttempt").length, 1);
});

test("asking for its own model brings a drained, stopped or failed pool back", () => {
  const drained = new World();
  drained.say({ type: "DrainRequested", poolId: "p", deadlineMs: 0 });
  assert.deepEqual(types(reload(drained, "m")), ["SwapModel"]);
  ended(drained, true);
  assert.equal(only(drained.submit("a"), "DispatchAttempt").length, 1);

  for (const status of ["stopped", "failed"] as const) {
    const world = new World();
    world.replica("p", "r0", { status });
    assert.ok(types(reload(world, "m")).includes("SwapModel"));
    world.replica("p", "r0", { epoch: 2 });
    ended(world, true);
    assert.equal(only(world.submit("a"), "DispatchAttempt").length, 1);
  }
});

test("a pool whose breaker is open takes work again after a reload, and its faults are forgotten", () => {
  const world = new World();
  for (let i = 0; i < 5; i++) {
    world.submit(`t${i}`);
    world.lose(`t${i}`);
    world.lose(`t${i}`);
  }
  assert.equal(only(world.submit("a"), "RefuseTask").length, 1);
  reload(world, "m");
  ended(world, true);
  assert.equal(only(world.submit("a"), "AcceptTask").length, 1);
  world.lose("t2");
  world.lose("a");
  assert.equal(world.attempts("a").length, 2);
});

test("a reload that fails leaves the pool with the model, version and tasks it had", () => {
  const world = new World();
  world.submit("a");
  world.submit("waits");
  const before = visible(world);
  reload(world, "n");
  world.end("a");
  const [answer] = only(ended(world, false, { error: "no such file" }), "AnswerReload");
  assert.equal(answer?.ok, false);
  assert.equal(answer?.modelRef, "m");
  assert.equal(answer?.error, "no such file");
  assert.equal(world.attempts("waits").length, 1);
  world.end("waits");
  const [was] = before.pools;
  const [is] = visible(world).pools;
  assert.deepEqual([is?.modelRef, is?.draining, is?.reload], [was?.modelRef, was?.draining, was?.reload]);
  assert.deepEqual(
    is?.replicas.map(({ facts: now, status }) => [now, status]),
    was?.replicas.map(({ facts: then, status }) => [then, status]),
  );
});

test("a pool that was drained before a reload that fails is drained after it", () => {
  const world = new World();
  world.say({ type: "DrainRequested", poolId: "p", deadlineMs: 0 });
  const before = visible(world).pools;
  reload(world, "n");
  ended(world, false);
  assert.equal(only(world.submit("a"), "RefuseTask")[0]?.code, "POOL_UNREADY");
  assert.deepEqual(visible(world).pools, before);
});

test("an operator's drain during a reload outlasts it, whether the reload succeeds or fails", () => {
  for (const ok of [true, false]) {
    for (const running of [true, false]) {
      const world = new World();
      if (running) world.submit("a");
      reload(world, "n");
      world.say({ type: "DrainRequested", poolId: "p", deadlineMs: 5000 });
      if (running) world.end("a");
      const [answer] = only(ended(world, ok), "AnswerReload");
      assert.deepEqual([answer?.ok, answer?.modelRef], [ok, ok ? "n" : "m"]);
      const modelRef = ok ? "n" : "m";
      assert.equal(only(world.submit("b", { modelRef }), "RefuseTask")[0]?.code, "POOL_UNREADY");
      reload(world, modelRef);
      ended(world, true);
      assert.equal(only(world.submit("c", { modelRef }), "AcceptTask").length, 1);
    }
  }
});

test("a pool that is not configured, or no longer, cannot be reloaded, and whoever asks is told", () => {
  const world = new World();
  world.submit("a");
  world.say({ type: "Configured", settings: settings({ pools: [] }) });
  assert.equal(world.orchestrator.state.pools.get("p")?.retired, true);
  for (const poolId of ["p", "nowhere"]) {
    const error = `Pool ${poolId} is not configured and cannot be reloaded.`;
    const failed = { ok: false, engineVersion: null, durationMs: 0, error };
    assert.deepEqual(reload(world, "n", poolId), [
      { type: "AnswerReload", poolId, modelRef: "n", ...failed },
    ]);
  }
  world.end("a", { ending: { kind: "aborted" } });
  assert.equal(world.orchestrator.state.pools.size, 0);
});

test("while a model is swapped its waiting tasks wait, whatever becomes of the replicas", () => {
  const world = new World();
  world.submit("a");
  world.submit("waits");
  reload(world, "n");
  world.end("a");
  world.say({ type: "ReplicaRemoved", poolId: "p", replicaId: "r0", reason: "drain" });
  assert.equal(world.outcome("waits"), undefined);
  world.replica("p", "r0", { epoch: 2 });
  ended(world, false);
  assert.equal(world.attempts("waits").length, 1);
});

test("tasks whose model nobody serves any more after a reload end with POOL_UNAVAILABLE", () => {
  const world = new World();
  world.submit("a");
  world.submit("waits");
  reload(world, "n");
  world.end("a");
  world.replica("p", "r0", { epoch: 2, facts: facts({ modelDigest: digestOfN }) });
  assert.equal(world.outcome("waits"), undefined);
  ended(world, true);
  const outcome = world.outcome("waits");
  assert.ok(outcome?.kind === "failed" && outcome.code === "POOL_UNAVAILABLE");
});

test("tasks whose model another set serves move there when a reload takes theirs", () => {
  const world = new World({ settings: settings({ pools: [pool(), pool({ id: "q" })] }) });
  world.submit("a");
  world.submit("waits");
  world.replica("q", "r0", { facts: facts({ computeFingerprint: "other" }) });
  reload(world, "n");
  world.end("a");
  world.replica("p", "r0", { epoch: 2, facts: facts({ modelDigest: digestOfN }) });
  ended(world, true);
  assert.equal(world.attempts("waits")[0]?.poolId, "q");
});

test("a second reload during the first is refused and disturbs nothing", () => {
  const world = new World();
  world.submit("a");
  reload(world, "n");
  const before = JSON.stringify(world.orchestrator.snapshot());
  const [refused] = only(reload(world, "o"), "AnswerReload");
  assert.equal(refused?.ok, false);
  assert.match(refused?.error ?? "", /is being reloaded with n already/);
  assert.equal(JSON.stringify(world.orchestrator.snapshot()), before);
  assert.equal(only(world.end("a"), "SwapModel")[0]?.toModelRef, "n");
});

test("an end that nobody waits for changes nothing", () => {
  const world = new World();
  assert.deepEqual(ended(world, true), []);
  world.submit("a");
  reload(world, "n");
  assert.deepEqual(ended(world, true), []);
});

test("two pools that are reloaded at once do not wait for one another", () => {
  const world = new World({ settings: settings({ pools: [pool(), pool({ id: "q", modelRef: "m2" })] }) });
  world.replica("q", "r0", { facts: facts({ modelDigest: `sha256:${"2".repeat(64)}` }) });
  world.submit("a");
  world.submit("waits");
  reload(world, "n");
  reload(world, "n2", "q");
  world.end("a");
  world.replica("p", "r0", { epoch: 2, facts: facts({ modelDigest: digestOfN }) });
  ended(world, true);
  world.say({ type: "ReloadEnded", poolId: "q", ok: false, engineVersion: null });
  assert.equal(world.outcome("waits")?.kind, "failed");
});

test("two models that nobody has a digest of are never taken for one another", () => {
  const unknown = facts({ modelDigest: null });
  const world = new World({
    settings: settings({ pools: [pool(), pool({ id: "q", modelRef: "n" })] }),
    ready: false,
  });
  world.replica("p", "r0", { facts: unknown });
  world.replica("q", "r0", { facts: unknown });
  for (const id of ["a", "b", "c"]) world.submit(id);
  assert.deepEqual(
    world.of("DispatchAttempt").map(({ poolId }) => poolId),
    ["p"],
  );
  world.say({ type: "DrainRequested", poolId: "q", deadlineMs: 0 });
  reload(world, "m", "q");
  world.say({ type: "ReloadEnded", poolId: "q", ok: true, engineVersion: "b1" });
  assert.equal(world.attempts("b")[0]?.poolId, "q");
});
