import assert from "node:assert/strict";
import { test } from "node:test";
import type { Survived } from "../facts.ts";
import { codeOf, lastOf, recover, reportLost, restart, withTask } from "../fixtures/restart.ts";
import { facts, pool, settings, World } from "../fixtures/world.ts";
import { limits } from "../limits.ts";
import { Orchestrator } from "../orchestrator.ts";

test("more attempts than slots hang on a replica until they are lost, and run one after the other then", () => {
  const world = new World({ slots: 3 });
  for (const id of ["a", "b", "c"]) world.submit(id);
  const survived = recover(world, (all) => ({
    ...all,
    replicas: all.replicas.map((each) => ({ ...each, facts: facts({ slotsTotal: 1 }) })),
  }));
  const replica = world.orchestrator.state.pools.get("p")?.replicas.get("r0");
  assert.equal(replica?.running.size, 3);
  reportLost(world, survived);
  world.replica("p", "r0");
  for (const id of ["a", "b", "c"]) {
    assert.deepEqual([id, lastOf(world, id).attempt], [id, 2]);
    world.end(id);
  }
});

test("that every engine has another process after a restart is no storm of restarts and no fault of a pool", () => {
  const breaker = { threshold: 1, openMs: 60_000, maxRestarts: 1, windowMs: 60_000 };
  const world = new World({ settings: settings({ pools: [pool({ breaker })] }), slots: 2 });
  world.submit("a");
  world.submit("b");
  const survived = recover(world);
  // Even if an engine is heard of, with what it last died of, before the attempts are reported lost.
  world.replica("p", "r0", { status: "backing_off", epoch: 7, reason: "driver_reset" });
  reportLost(world, survived);
  world.replica("p", "r0", { epoch: 8 });
  const about = world.of("Note").map((note) => note.about);
  assert.deepEqual(
    about.filter((each) => each !== "attempt-lost"),
    [],
  );
  const { live, faults } = faultsOf(world, "a");
  assert.deepEqual([live, faults], [true, 0]);
});

function faultsOf({ orchestrator }: World, taskId: string) {
  const live = orchestrator.state.jobs.get(`job-${taskId}`);
  return { live: live !== undefined, faults: live?.faults };
}

const withoutReplicas = (survived: Survived): Survived => ({ ...survived, replicas: [] });

test("tasks whose replica nobody remembers wait until one reports, and keep their order", () => {
  const world = new World();
  for (const id of ["a", "b", "c"]) world.submit(id);
  const other = pool({ id: "other" });
  restart(world, (survived) => ({
    ...withoutReplicas(survived),
    settings: settings({ pools: [pool(), other] }),
  }));
  world.say({ type: "Configured", settings: settings() });
  assert.equal(world.of("EndTask").length, 0);
  world.replica("p", "r0", { facts: facts({ slotsTotal: 1, quant: "q8" }) });
  for (const id of ["a", "b", "c"]) {
    world.end(id);
    assert.equal(world.outcome(id)?.kind, "done");
  }
  assert.deepEqual(
    world.of("DispatchAttempt").map(({ jobId, attempt }) => `${jobId} ${attempt}`),
    ["job-a 1", "job-a 2", "job-b 1", "job-c 1"],
  );
  world.pass(limits.startingReplicaMs);
  assert.equal(world.orchestrator.state.sets.size, 1);
});

test("a strict text waits for its set to be heard of, and for no other one", () => {
  const world = new World();
  world.submit("a");
  restart(world, (survived) => withTask(withoutReplicas(survived), { frames: 2 }));
  world.replica("p", "r1", { facts: facts({ engineVersion: "b2" }) });
  assert.equal(world.attempts("a").length, 1);
  world.replica("p", "r0");
  assert.equal(lastOf(world, "a").resume, "replayed");
  assert.equal(world.orchestrator.state.sets.size, 2);
  const { key } = world.orchestrator.state.sets.get(lastSet(world)) ?? assert.fail();
  assert.equal(key.ctx, 4096);
});

const lastSet = ({ orchestrator }: World): string =>
  [...orchestrator.state.jobs.values()].at(-1)?.setId ?? assert.fail();

test("who has not been heard of a minute after the restart does not come, and what waited for it ends", () => {
  const pools = [pool(), pool({ id: "other", modelRef: "other" })];
  const world = new World({ settings: settings({ pools }) });
  world.submit("a");
  world.submit("b");
  restart(world, (survived) => {
    const { tasks } = withTask(withoutReplicas(survived), { frames: 2 });
    return { ...withoutReplicas(survived), tasks: [tasks[0] ?? assert.fail(), ...survived.tasks.slice(1)] };
  });
  world.pass(limits.startingReplicaMs - 1);
  assert.equal(world.of("EndTask").length, 0);
  world.orchestrator = Orchestrator.restore(world.orchestrator.snapshot());
  world.say({ type: "Configured", settings: settings() });
  assert.equal(world.of("EndTask").length, 0);
  world.pass(1);
  assert.equal(codeOf(world, "a"), "WORKER_RESET");
  assert.equal(codeOf(world, "b"), "POOL_UNAVAILABLE");
  assert.equal(world.orchestrator.state.sets.size, 0);
});

test("tasks of a pool that nobody remembers go where they can run, and the name of the pool goes with them", () => {
  const pools = [pool({ id: "q" })];
  const world = new World({ settings: settings({ pools: [pool()] }), slots: 2 });
  for (const id of ["a", "b"]) world.submit(id);
  const survived = recover(world, (survived) => ({
    ...withoutReplicas(survived),
    settings: settings({ pools }),
  }));
  assert.equal(world.orchestrator.state.pools.get("p")?.retired, true);
  reportLost(world, survived);
  world.replica("q", "r0", { facts: facts({ engineVersion: "b2" }) });
  for (const id of ["a", "b"]) {
    assert.equal(lastOf(world, id).poolId, "q");
    world.end(id);
  }
  world.pass(limits.startingReplicaMs);
  assert.deepEqual([...world.orchestrator.state.pools.keys()], ["q"]);
});

test("a pool that is configured anew is a home for what waits for a set nobody remembers", () => {
  const pools = [pool(), pool({ id: "q", determinism: "best_effort" })];
  const world = new World({ settings: settings({ pools }), ready: false });
  world.replica("p", "r0");
  world.submit("a", { determinism: "strict" });
  restart(world, withoutReplicas);
  world.replica("q", "r0", { facts: facts({ engineVersion: "b2" }) });
  assert.equal(world.attempts("a").length, 1);
  world.say({ type: "Configured", settings: settings({ pools: [pool(), pool({ id: "q" })] }) });
  assert.equal(lastOf(world, "a").poolId, "q");
});

test("a replica that is known takes in what waits for a set nobody remembers, in the order of admission", () => {
  const world = new World({ settings: settings({ pools: [pool(), pool({ id: "q" })] }) });
  world.submit("running");
  for (const id of ["a", "b", "c"]) world.submit(id);
  recover(world, (survived) => ({
    ...survived,
    tasks: survived.tasks.map((each) =>
      each.jobId === "job-b" ? { ...each, setId: "rs-gone", poolId: "q" } : each,
    ),
  }));
  const [set = assert.fail()] = world.orchestrator.state.sets.values();
  assert.deepEqual(
    [...set.queue.items()].map(({ jobId }) => jobId),
    ["job-a", "job-b", "job-c"],
  );
});

test("a process that only starts is known as what it was, so that its set is found again", () => {
  const world = new World();
  world.submit("a");
  world.replica("p", "r0", { status: "loading", epoch: 2, facts: facts({ modelDigest: null }) });
  const known = world.orchestrator.replicaFacts("p", "r0")?.facts.modelDigest;
  assert.equal(known, facts().modelDigest);
});
