import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { act, stage, steps } from "./fixtures/play.ts";
import { facts, only, pool, settings, World } from "./fixtures/world.ts";
import { limits } from "./limits.ts";
import { Orchestrator } from "./orchestrator.ts";

const restored = (of: Orchestrator) => Orchestrator.restore(JSON.parse(JSON.stringify(of.snapshot())));

test("whatever has happened, a state that went through JSON decides on exactly as the original [OC-CORE-DET-1033]", () => {
  fc.assert(
    fc.property(steps(250), fc.nat({ max: 200 }), fc.nat(), (play, cut, seed) => {
      const set = stage(seed);
      for (const step of play) act(set, step);
      const { events } = set.world;
      const at = cut % (events.length + 1);
      const original = new Orchestrator(seed);
      for (const event of events.slice(0, at)) original.handle(event);
      const copy = restored(original);
      assert.deepEqual(copy.snapshot(), original.snapshot());
      for (const event of events.slice(at)) {
        assert.deepEqual(copy.handle(event), original.handle(event));
        copy.assertInvariants();
      }
      assert.deepEqual(copy.snapshot(), original.snapshot());
    }),
    { numRuns: 150 },
  );
});

/** Every way a task can be at a moment: waiting, lost, running, cancelled, over. */
function busy(): World {
  const world = new World({
    settings: settings({ placement: { strategy: "random", allowPin: true } }),
    slots: 2,
  });
  for (const id of ["a", "b", "c", "d", "e"]) world.submit(id);
  world.batch("f");
  world.lose("a", { frames: 2 });
  world.cancel("a");
  world.lose("b", { frames: 1 });
  return world;
}

test("a restored state answers as before, keeps its order and its timers, and refuses nothing it has", () => {
  const world = busy();
  const copy = restored(world.orchestrator);
  const [setId] = world.orchestrator.state.sets.keys();
  assert.deepEqual([...copy.waiting(setId ?? "")], [...world.orchestrator.waiting(setId ?? "")]);
  assert.deepEqual([...copy.state.timers], [...world.orchestrator.state.timers]);
  assert.deepEqual(copy.session("default", "c"), world.orchestrator.session("default", "c"));
  assert.deepEqual(copy.progress("job-c"), world.orchestrator.progress("job-c"));
  world.orchestrator = copy;
  for (const id of ["a", "c", "f"]) {
    const [again] = only(world.submit(id, id === "f" ? { priority: "batch" } : {}), "RepeatAnswer");
    const first = world.of("AcceptTask").find(({ taskId }) => taskId === id);
    assert.deepEqual(again?.answer, first?.answer);
  }
});

test("a restored queue that is fuller than its pool may be keeps all its tasks", () => {
  const world = new World();
  for (const id of ["a", "b", "c", "d"]) world.submit(id);
  world.say({ type: "Configured", settings: settings({ pools: [pool({ capacity: 1 })] }) });
  world.orchestrator = restored(world.orchestrator);
  assert.equal(only(world.submit("e"), "RefuseTask").length, 1);
  for (const id of ["a", "b", "c", "d"]) {
    world.end(id);
    assert.equal(world.outcome(id)?.kind, "done");
  }
});

test("attempts of processes that are gone come back with the state, and their ends are still heard", () => {
  const world = new World();
  world.submit("replaced");
  world.replica("p", "r0", { epoch: 2 });
  world.submit("removed");
  world.say({ type: "ReplicaRemoved", poolId: "p", replicaId: "r0", reason: "crash" });
  world.replica("p", "r1");
  world.submit("running");
  world.orchestrator = restored(world.orchestrator);
  for (const id of ["replaced", "removed"]) world.end(id, { ending: { kind: "aborted" } });
  world.end("running");
  world.end("replaced");
  world.end("removed");
  for (const id of ["replaced", "removed", "running"]) assert.equal(world.outcome(id)?.kind, "done");
});

test("a set that waits for its only replica keeps its weights", () => {
  const classes = { interactive: { weight: 1 }, batch: { weight: 3 } };
  const pools = [pool({ id: "first" }), pool({ classes })];
  const world = new World({ settings: settings({ pools }) });
  world.submit("running");
  for (let i = 0; i < 8; i++) {
    world.submit(`i${i}`);
    world.batch(`b${i}`);
  }
  world.say({ type: "ReloadRequested", poolId: "p", modelRef: "n", drainDeadlineMs: 0 });
  world.pass(0);
  world.end("running");
  world.say({ type: "ReplicaRemoved", poolId: "p", replicaId: "r0", reason: "drain" });
  const order = (orchestrator: Orchestrator) =>
    [...orchestrator.state.sets.values()].flatMap((set) => [...set.queue.items()].map(({ jobId }) => jobId));
  assert.ok(order(world.orchestrator).length === 16);
  assert.deepEqual(order(restored(world.orchestrator)), order(world.orchestrator));
});

test("an id that was accepted again is remembered by its last end when its first is forgotten", () => {
  const world = new World({ settings: settings({ rememberMs: 1000 }) });
  const serve = (id: string) => {
    world.submit(id);
    world.end(id);
  };
  serve("again");
  const snapshot = world.orchestrator.snapshot();
  const [known = assert.fail()] = snapshot.ended;
  const others = Array.from({ length: limits.rememberedAnswers - 2 }, (_, i) => ({
    ...known,
    taskId: `other${i}`,
  }));
  world.orchestrator = Orchestrator.restore({ ...snapshot, ended: [...snapshot.ended, ...others] });
  world.pass(1001);
  serve("again");
  serve("last");
  assert.equal(world.orchestrator.state.ended.size, limits.rememberedAnswers);
  world.orchestrator = restored(world.orchestrator);
  assert.equal(only(world.submit("again"), "RepeatAnswer").length, 1);
});

test("a name that was withdrawn is free after a restart, too", () => {
  const world = new World({ slots: 3 });
  for (const id of ["ended", "running", "kept"]) world.submit(id);
  world.end("ended");
  world.end("kept");
  for (const taskId of ["ended", "running"]) {
    world.say({ type: "TaskCanceled", tenantId: "default", taskId, withdrawn: true });
  }
  world.end("running", { ending: { kind: "aborted" } });
  world.orchestrator = restored(world.orchestrator);
  for (const id of ["ended", "running"]) {
    assert.equal(only(world.submit(id), "AcceptTask").length, 1);
  }
  assert.equal(only(world.submit("kept"), "RepeatAnswer").length, 1);
});

test("the generator goes on where it was, so that chance is the same on both sides of a restart", () => {
  const world = new World({
    settings: settings({ placement: { strategy: "random", allowPin: true } }),
    ready: false,
    seed: 42,
  });
  for (const node of ["x", "y", "z"]) {
    world.replica("p", node, { facts: facts({ nodeId: node, slotsTotal: 50 }) });
  }
  const copy = new World({ ready: false });
  for (let i = 0; i < 10; i++) world.submit(`t${i}`);
  copy.orchestrator = restored(world.orchestrator);
  for (let i = 10; i < 40; i++) {
    const [here] = only(world.submit(`t${i}`), "DispatchAttempt");
    const [there] = only(copy.submit(`t${i}`), "DispatchAttempt");
    assert.equal(there?.replicaId, here?.replicaId);
  }
  assert.ok(new Set(world.of("DispatchAttempt").map(({ replicaId }) => replicaId)).size === 3);
});

test("chance is the same on both sides, also where tasks of several lanes are asked for", () => {
  const random = settings({ placement: { strategy: "random", allowPin: true } });
  const away = { mode: "auto", preferPools: [], avoidPools: ["q"], allowFallback: true } as const;
  for (let seed = 0; seed < 20; seed++) {
    const world = new World({ settings: random, ready: false, seed });
    const nodes = ["x", "y", "z"];
    for (const nodeId of nodes) world.replica("p", nodeId, { facts: facts({ nodeId }) });
    for (const id of nodes) world.submit(id);
    for (const id of ["a1", "b1", "a2", "b2"])
      world.submit(id, id.startsWith("b") ? { placement: away } : {});
    world.cancel("a1");
    world.say({ type: "DrainRequested", poolId: "p", deadlineMs: 1000 });
    for (const id of nodes) world.end(id);
    world.say({ type: "ReloadRequested", poolId: "p", modelRef: "m", drainDeadlineMs: 0 });
    const copy = restored(world.orchestrator);
    const ended = { type: "ReloadEnded", poolId: "p", ok: true, engineVersion: "b1" } as const;
    assert.deepEqual(copy.handle({ seq: 99, nowMs: 0, ...ended }), world.say(ended));
  }
});
