import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { facts, only, pool, settings, World, type WorldOptions } from "../fixtures/world.ts";
import type { LostReason } from "../outcome.ts";

const bestEffort = settings({ pools: [pool({ determinism: "best_effort" })] });

/** Two replicas of one slot each, in one set. */
function pair(options: WorldOptions = {}): World {
  const world = new World(options);
  world.replica("p", "r1");
  return world;
}

function code(world: World, taskId: string): string | undefined {
  const outcome = world.outcome(taskId);
  return outcome?.kind === "failed" ? outcome.code : outcome?.kind;
}

const lostTo = (reason: LostReason) => ({ ending: { kind: "lost", reason, message: "" } }) as const;
const ran = (world: World, taskId: string) => world.attempts(taskId).map(({ replicaId }) => replicaId);

test("what was delivered of a strict task is repeated from its start", () => {
  const world = pair();
  world.submit("a");
  world.lose("a", { frames: 4, tokensOut: 5 });
  assert.equal(world.attempts("a")[1]?.resume, "replayed");
  world.end("a");
  assert.equal(code(world, "a"), "done");
});

test("a best-effort task goes on from exactly what was delivered", () => {
  const world = pair({ settings: bestEffort });
  world.submit("a");
  world.lose("a", { frames: 4, tokensOut: 5 });
  assert.equal(world.attempts("a")[1]?.resume, "continued");
});

test("a best-effort task that cannot be continued exactly ends with WORKER_RESET", () => {
  const world = pair({ settings: bestEffort });
  world.submit("a");
  world.lose("a", { frames: 4, tokensOut: 5, continuable: false });
  assert.equal(code(world, "a"), "WORKER_RESET");
  assert.equal(world.attempts("a").length, 1);
});

test("a task of which nothing was delivered starts again as if nothing had happened, on any pool", () => {
  for (const given of [settings(), bestEffort]) {
    const world = pair({ settings: given });
    world.submit("a");
    world.lose("a", { continuable: false });
    assert.equal(world.attempts("a")[1]?.resume, null);
  }
});

test("an engine that falls silent is told to stop, and its attempt is lost, not failed", () => {
  const world = pair();
  world.submit("a");
  const stalled = { type: "AttemptStalled", jobId: "job-a", attempt: 1 } as const;
  assert.deepEqual(world.say(stalled), [
    { type: "AbortAttempt", jobId: "job-a", attempt: 1, reason: "watchdog" },
  ]);
  assert.deepEqual(world.say(stalled), []);
  world.end("a", { ending: { kind: "aborted" } });
  assert.equal(world.outcome("a"), undefined);
  assert.equal(world.attempts("a").length, 2);
});

test("a lost task goes before everything that waits and takes no room in the queue", () => {
  const world = new World({ settings: settings({ pools: [pool({ capacity: 1 })] }) });
  world.submit("a");
  world.submit("b");
  world.replica("p", "r0", { status: "backing_off", readyInMs: 1000 });
  world.lose("a", { ...lostTo("crash"), frames: 1 });
  assert.equal(only(world.submit("c"), "RefuseTask").length, 1);
  world.replica("p", "r0", { epoch: 2 });
  assert.deepEqual(ran(world, "a"), ["r0", "r0"]);
  assert.deepEqual(ran(world, "b"), []);
});

test("a replica gets two tries of a task, and the task three in all", () => {
  const world = new World();
  world.replica("p", "r1", { facts: facts({ vramFreeBytes: -1 }) });
  world.submit("a");
  world.lose("a");
  world.lose("a");
  world.lose("a");
  assert.deepEqual(ran(world, "a"), ["r0", "r1", "r0"]);
  assert.equal(code(world, "a"), "REPLICA_EXHAUSTED");
});

test("a replica that lost an attempt gets none until it is heard of again, or for a second", () => {
  const crash = { ending: { kind: "lost", reason: "crash", message: "it died" } } as const;
  const silent = new World();
  silent.submit("a");
  silent.end("a", crash);
  assert.deepEqual(ran(silent, "a"), ["r0"]);
  silent.pass(999);
  assert.deepEqual(ran(silent, "a"), ["r0"]);
  silent.pass(1);
  assert.deepEqual(ran(silent, "a"), ["r0", "r0"]);

  const heard = new World();
  heard.submit("a");
  heard.end("a", crash);
  heard.replica("p", "r0");
  assert.deepEqual(ran(heard, "a"), ["r0", "r0"]);

  const dead = new World();
  dead.submit("a");
  dead.end("a", crash);
  dead.replica("p", "r0", { status: "backing_off", readyInMs: 3000 });
  dead.pass(2999);
  assert.deepEqual(ran(dead, "a"), ["r0"], "its tries are not used up on a dead process");
  dead.replica("p", "r0", { epoch: 2 });
  assert.deepEqual(ran(dead, "a"), ["r0", "r0"]);
});

test("what a crash takes along at once is one fault for the breaker, however many slots there were", () => {
  const breaker = { threshold: 3, openMs: 300_000, maxRestarts: 10, windowMs: 60_000 };
  const world = new World({ settings: settings({ pools: [pool({ breaker })] }), slots: 4 });
  for (const id of ["a", "b", "c", "d"]) world.submit(id);
  for (const id of ["a", "b", "c", "d"]) {
    world.end(id, { ending: { kind: "lost", reason: "crash", message: "it died" } });
  }
  assert.equal(world.of("Note").filter(({ about }) => about === "breaker-opened").length, 0);
});

test("a task that every replica has failed before its first token ends with REPLICA_EXHAUSTED [CHK-F-04, CHK-J-07]", () => {
  const world = new World();
  world.submit("a");
  world.lose("a");
  assert.equal(world.outcome("a"), undefined);
  world.lose("a");
  assert.deepEqual(ran(world, "a"), ["r0", "r0"]);
  const outcome = world.outcome("a");
  assert.ok(outcome?.kind === "failed" && outcome.code === "REPLICA_EXHAUSTED");
  assert.ok((outcome.details.retry_after_ms ?? 0) >= 1);
});

test("when tries are used up after the first token the task ends with WORKER_RESET", () => {
  const world = pair();
  world.submit("a");
  for (let i = 0; i < 3; i++) world.lose("a", { frames: 1, tokensOut: 1 });
  assert.equal(code(world, "a"), "WORKER_RESET");
});

test("when a watchdog ended the last try the task ends with DECODE_TIMEOUT", () => {
  const world = pair();
  world.submit("a");
  for (let i = 1; i <= 3; i++) {
    world.say({ type: "AttemptStalled", jobId: "job-a", attempt: i });
    world.end("a", { ending: { kind: "aborted" }, frames: 1 });
    world.pass(1000);
  }
  assert.equal(code(world, "a"), "DECODE_TIMEOUT");
  assert.equal(world.attempts("a").length, 3);
});

test("preemption and drains are nobody's fault and use up no try", () => {
  const world = pair();
  world.submit("a");
  for (const reason of ["drain", "preempted", "drain", "preempted", "crash", "crash"] as const) {
    world.lose("a", lostTo(reason));
  }
  assert.equal(world.outcome("a"), undefined);
  world.lose("a");
  assert.equal(code(world, "a"), "REPLICA_EXHAUSTED");
  assert.equal(world.of("EndTask")[0]?.attempts, 7);
});

test("a replay that gives other text ends with WORKER_RESET and is told", () => {
  const world = pair();
  world.submit("a");
  world.lose("a", { frames: 2 });
  const effects = world.end("a", { ending: { kind: "mismatch" } });
  assert.deepEqual(only(effects, "Note"), [
    { type: "Note", about: "replay-mismatch", poolId: "p", jobId: "job-a" },
  ]);
  assert.equal(code(world, "a"), "WORKER_RESET");
});

test("what an engine refuses for good ends the task without another try", () => {
  const world = pair();
  world.submit("a");
  world.end("a", { ending: { kind: "refused", code: "INVALID_PARAMS", message: "no such grammar" } });
  assert.equal(code(world, "a"), "INVALID_PARAMS");
  assert.equal(world.attempts("a").length, 1);
});

test("late and repeated reports about attempts that are over change nothing", () => {
  const world = pair();
  world.submit("a");
  world.lose("a", { frames: 2 });
  const before = JSON.stringify(world.orchestrator.snapshot());
  const about = { jobId: "job-a", attempt: 1 } as const;
  assert.deepEqual(world.say({ type: "AttemptStarted", ...about }), []);
  assert.deepEqual(world.say({ type: "FirstToken", cachedTokens: 5, ...about }), []);
  assert.deepEqual(world.say({ type: "AttemptProgressed", tokens: 9, frames: 9, digest: "", ...about }), []);
  assert.deepEqual(world.say({ type: "AttemptStalled", ...about }), []);
  for (const kind of ["done", "aborted", "mismatch"] as const) {
    assert.deepEqual(world.end("a", { ending: { kind }, attempt: 1 }), []);
  }
  assert.deepEqual(world.lose("a", { attempt: 1 }), []);
  assert.equal(JSON.stringify(world.orchestrator.snapshot()), before);
  world.end("a");
  assert.deepEqual(world.end("a"), []);
  assert.deepEqual(world.end("nobody"), []);
});

test("a task that goes on in another set is placed there at once", () => {
  const world = new World({ ready: false });
  world.replica("p", "r0", { facts: facts({ computeFingerprint: "f" }) });
  world.submit("a");
  world.replica("p", "r1", { facts: facts({ computeFingerprint: "g" }) });
  world.lose("a");
  world.lose("a");
  assert.deepEqual(ran(world, "a"), ["r0", "r0", "r1"]);
});

test("a strict task that was delivered in part waits for its own set and runs on no other", () => {
  const world = new World();
  world.submit("a");
  world.replica("p", "r1", { facts: facts({ computeFingerprint: "other" }) });
  assert.deepEqual(ran(world, "a"), ["r0"]);
  world.replica("p", "r0", { status: "backing_off", readyInMs: 100 });
  world.lose("a", { frames: 1 });
  assert.deepEqual(ran(world, "a"), ["r0"]);
  world.replica("p", "r0", { epoch: 2 });
  assert.deepEqual(ran(world, "a"), ["r0", "r0"]);
});

test("a task of which nothing was delivered leaves a set that cannot serve it for one that can", () => {
  const world = new World();
  world.submit("a");
  world.replica("p", "r1", { facts: facts({ computeFingerprint: "other" }) });
  world.replica("p", "r0", { status: "backing_off" });
  world.lose("a");
  assert.deepEqual(ran(world, "a"), ["r0", "r1"]);
});

test("a continuation that moves to a strict set is continued again when it is lost there", () => {
  const pools = [pool({ determinism: "best_effort" }), pool({ id: "q" })];
  const world = new World({ settings: settings({ pools }) });
  world.submit("a");
  world.replica("q", "r0");
  world.replica("q", "r1");
  world.replica("p", "r0", { status: "failed" });
  world.lose("a", { frames: 3 });
  world.lose("a", { frames: 5 });
  const attempts = world.attempts("a").map(({ poolId, resume }) => `${poolId} ${resume}`);
  assert.deepEqual(attempts, ["p null", "q continued", "q continued"]);
});

test("a continuation to which no token is missing any more is finished", () => {
  const world = pair({ settings: bestEffort });
  world.submit("a", { maxTokens: 10 });
  world.lose("a", { frames: 9, tokensOut: 10, decodeMs: 80 });
  assert.deepEqual(world.outcome("a"), { kind: "done", tokensOut: 10, decodeMs: 80 });
});

test("however attempts end, a task has one outcome, three faults at most and two on one replica", () => {
  const ending = fc.constantFrom<LostReason | "stall" | "done">(
    ...(["crash", "reset", "vram_oom", "node", "drain", "preempted", "stall", "done"] as const),
  );
  fc.assert(
    fc.property(fc.array(ending, { maxLength: 10 }), fc.boolean(), (endings, strict) => {
      const world = pair(strict ? {} : { settings: bestEffort });
      world.replica("p", "r2");
      world.submit("a");
      const faults = new Map<string, number>();
      for (const how of endings) {
        const last = world.attempts("a").at(-1);
        if (world.outcome("a") !== undefined || last === undefined) break;
        if (how === "done") world.end("a");
        else if (how === "stall") {
          world.say({ type: "AttemptStalled", jobId: "job-a", attempt: last.attempt });
          world.end("a", { ending: { kind: "aborted" } });
        } else world.lose("a", lostTo(how));
        if (how === "done" || how === "drain" || how === "preempted") continue;
        faults.set(last.replicaId, (faults.get(last.replicaId) ?? 0) + 1);
      }
      const counts = [...faults.values()];
      assert.ok(counts.every((count) => count <= 2));
      assert.ok(counts.reduce((a, b) => a + b, 0) <= 3);
      assert.ok(world.of("EndTask").length <= 1);
    }),
  );
});

test("an engine that is busy with others, or whose node is gone, is no fault of its pool", () => {
  const breaker = { threshold: 2, openMs: 300_000, maxRestarts: 10, windowMs: 60_000 };
  for (const reason of ["busy", "node"] as const) {
    const world = new World({ settings: settings({ pools: [pool({ breaker })] }), slots: 4 });
    for (const id of ["a", "b", "c", "d"]) world.submit(id);
    for (const id of ["a", "b", "c", "d"]) {
      world.end(id, { ending: { kind: "lost", reason, message: "not now" } });
    }
    assert.equal(world.of("Note").filter(({ about }) => about === "breaker-opened").length, 0, reason);
    assert.equal(world.outcome("a"), undefined, reason);
  }
});

test("a replica that was gone before the start is blamed for nothing, and gets nothing until it is heard of", () => {
  const world = new World();
  world.submit("a");
  for (let n = 1; n <= 10; n++) {
    world.end("a", lostTo("restart"));
    assert.equal(world.attempts("a").length, n);
    world.replica("p", "r0");
    assert.equal(world.attempts("a").length, n + 1);
  }
  assert.equal(world.of("Note").filter(({ about }) => about === "breaker-opened").length, 0);
  assert.equal(world.outcome("a"), undefined);
});
