import assert from "node:assert/strict";
import { test } from "node:test";
import { facts, only, pool, settings, World } from "./fixtures/world.ts";
import type { PoolSettings } from "./settings.ts";

const aborted = { ending: { kind: "aborted" } } as const;

const configure = (world: World, ...pools: PoolSettings[]) =>
  world.say({ type: "Configured", settings: settings({ pools }) });

function code(world: World, taskId: string): string | undefined {
  const outcome = world.outcome(taskId);
  return outcome?.kind === "failed" ? outcome.code : outcome?.kind;
}

/** Tasks wait behind a running one. */
function queued(...ids: string[]): World {
  const world = new World();
  world.submit("running");
  for (const id of ids) world.submit(id);
  return world;
}

test("before anything is configured nothing is admitted", () => {
  const world = new World({ settings: settings({ pools: [] }), ready: false });
  assert.equal(only(world.submit("a"), "RefuseTask")[0]?.code, "POOL_UNAVAILABLE");
});

test("a pool that is added takes work once its replica is there", () => {
  const world = queued("a");
  configure(world, pool(), pool({ id: "q" }));
  assert.equal(world.attempts("a").length, 0);
  world.replica("q", "r0");
  assert.equal(world.attempts("a")[0]?.poolId, "q");
});

test("the same configuration again changes nothing", () => {
  const world = queued("a", "b");
  const before = JSON.stringify(world.orchestrator.snapshot());
  assert.deepEqual(configure(world, pool()), []);
  assert.equal(JSON.stringify(world.orchestrator.snapshot()), before);
});

test("a pool that goes loses what it runs, and its waiting tasks go on in a sibling", () => {
  const world = new World({ settings: settings({ pools: [pool(), pool({ id: "q" })] }) });
  world.replica("q", "r0");
  for (const id of ["a", "b", "c"]) world.submit(id);
  const onP = ["a", "b"].find((id) => world.attempts(id)[0]?.poolId === "p") ?? assert.fail();
  const effects = configure(world, pool({ id: "q" }));
  assert.equal(only(effects, "AbortAttempt")[0]?.reason, "drain");
  world.end(onP, aborted);
  for (const id of [onP === "a" ? "b" : "a", onP, "c"]) world.end(id);
  for (const id of ["a", "b", "c"]) assert.equal(code(world, id), "done");
  assert.deepEqual([...world.orchestrator.state.pools.keys()], ["q"]);
});

test("tasks of a model that nobody is configured for any more end with POOL_UNAVAILABLE", () => {
  const world = queued("a");
  configure(world);
  assert.equal(code(world, "a"), "POOL_UNAVAILABLE");
  world.end("running", aborted);
  assert.equal(code(world, "running"), "REPLICA_EXHAUSTED");
  assert.equal(world.orchestrator.state.pools.size, 0);
});

test("a pool that is configured again before its last attempt has ended serves again", () => {
  const world = queued();
  configure(world);
  configure(world, pool());
  world.replica("p", "r0", { epoch: 2 });
  world.submit("b");
  assert.equal(world.attempts("b").length, 1);
  world.orchestrator.snapshot();
  world.end("running", aborted);
  world.end("b");
  assert.equal(world.attempts("running").length, 2);
  world.end("running");
  assert.equal(code(world, "running"), "done");
});

test("a pool that goes while another swaps its model leaves its tasks to wait for what comes", () => {
  const world = new World({ settings: settings({ pools: [pool(), pool({ id: "q", modelRef: "n" })] }) });
  world.replica("q", "r0", { facts: facts({ modelDigest: `sha256:${"1".repeat(64)}` }) });
  world.submit("running");
  world.submit("waits");
  world.say({ type: "ReloadRequested", poolId: "q", modelRef: "m", drainDeadlineMs: 0 });
  configure(world, pool({ id: "q", modelRef: "n" }));
  world.end("running", aborted);
  assert.equal(world.outcome("waits"), undefined);
  world.replica("q", "r0", { epoch: 2 });
  world.say({ type: "ReloadEnded", poolId: "q", ok: true, engineVersion: "b1" });
  assert.equal(world.attempts("waits")[0]?.poolId, "q");
  assert.deepEqual([...world.orchestrator.state.pools.keys()], ["q"]);
});

test("what waited for a swap to end is looked after when the pool that swapped goes", () => {
  const world = new World({ settings: settings({ pools: [pool(), pool({ id: "q", modelRef: "n" })] }) });
  const modelDigest = `sha256:${"1".repeat(64)}`;
  world.replica("q", "r0", { facts: facts({ modelDigest }) });
  world.submit("running", { modelRef: "n" });
  world.submit("waits", { modelRef: "n" });
  world.say({ type: "ReloadRequested", poolId: "p", modelRef: "o", drainDeadlineMs: 0 });
  world.say({ type: "ReplicaRemoved", poolId: "q", replicaId: "r0", reason: "crash" });
  assert.equal(code(world, "waits"), undefined);
  configure(world, pool({ id: "q", modelRef: "n" }));
  assert.equal(code(world, "waits"), "POOL_UNAVAILABLE");
  assert.equal(world.orchestrator.state.sets.size, 0);
});

test("whoever waits for the reload of a pool that goes is told", () => {
  const world = queued();
  world.say({ type: "ReloadRequested", poolId: "p", modelRef: "n", drainDeadlineMs: 1000 });
  const [answer] = only(configure(world), "AnswerReload");
  assert.equal(answer?.ok, false);
  assert.match(answer?.error ?? "", /no longer configured/);
});

test("a replica that reports or leaves after its pool has gone changes nothing for anyone", () => {
  const world = queued();
  configure(world);
  assert.deepEqual(world.replica("p", "r0", { epoch: 2 }), []);
  world.say({ type: "ReplicaRemoved", poolId: "p", replicaId: "r0", reason: "drain" });
  world.end("running", aborted);
  assert.equal(world.orchestrator.state.pools.size, 0);
});

test("a pool that goes waits for the ends of attempts whose process had gone before", () => {
  const world = queued();
  world.replica("p", "r0", { epoch: 2 });
  configure(world);
  assert.equal(world.orchestrator.state.pools.size, 1);
  world.end("running", aborted);
  assert.equal(code(world, "running"), "REPLICA_EXHAUSTED");
  assert.equal(world.orchestrator.state.pools.size, 0);
});

test("new weights keep the order of what waits and rule what comes", () => {
  const weights = (interactive: number, batch: number) =>
    pool({ classes: { interactive: { weight: interactive }, batch: { weight: batch } } });
  const world = new World({ settings: settings({ pools: [weights(1, 1)] }) });
  world.submit("running");
  for (let i = 0; i < 12; i++) {
    world.submit(`i${i}`);
    world.batch(`b${i}`);
  }
  configure(world, weights(3, 1));
  world.end("running");
  const order: string[] = [];
  for (let i = 0; i < 24; i++) {
    const next = world.of("DispatchAttempt").at(-1)?.jobId.slice("job-".length) ?? assert.fail();
    order.push(next);
    world.end(next);
  }
  for (const letter of ["i", "b"]) {
    const own = order.filter((id) => id.startsWith(letter));
    assert.deepEqual(
      own,
      [...own].sort((a, b) => Number(a.slice(1)) - Number(b.slice(1))),
    );
  }
  const early = order.slice(0, 12).filter((id) => id.startsWith("b")).length;
  assert.ok(early >= 2 && early <= 4, `${early} of the first 12 were batch, which has a quarter`);
});

test("the model a reload put into a pool stays until the configuration names another one", () => {
  const world = new World();
  world.say({ type: "ReloadRequested", poolId: "p", modelRef: "n", drainDeadlineMs: 0 });
  world.say({ type: "ReloadEnded", poolId: "p", ok: true, engineVersion: null });
  configure(world, pool({ capacity: 7 }));
  assert.equal(only(world.submit("a", { modelRef: "n" }), "AcceptTask").length, 1);
  configure(world, pool({ modelRef: "o" }));
  assert.equal(only(world.submit("b", { modelRef: "n" }), "RefuseTask").length, 1);
});

test("a pool that changes its kind changes its set, and what waits follows where it may", () => {
  const world = queued("any");
  world.submit("bound", { determinism: "strict" });
  configure(world, pool({ determinism: "best_effort" }));
  const [set] = world.orchestrator.state.sets.values();
  assert.equal(set?.key.determinism, "best_effort");
  assert.equal(code(world, "any"), undefined);
  assert.equal(code(world, "bound"), "POOL_UNAVAILABLE");
});

test("a smaller capacity refuses newcomers and ends nobody", () => {
  const world = queued("a", "b", "c");
  configure(world, pool({ capacity: 1 }));
  assert.equal(only(world.submit("d"), "RefuseTask").length, 1);
  for (const id of ["running", "a", "b", "c"]) world.end(id);
  for (const id of ["a", "b", "c"]) assert.equal(code(world, id), "done");
});
