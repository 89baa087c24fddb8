import assert from "node:assert/strict";
import { test } from "node:test";
import { only, pool, settings, World, type WorldOptions } from "../fixtures/world.ts";

const breaker = { threshold: 3, openMs: 10_000, maxRestarts: 10, windowMs: 60_000 };

function fragile(options: WorldOptions = {}): World {
  return new World({ settings: settings({ pools: [pool({ breaker })] }), ...options });
}

/** Loses attempts until the breaker is open. */
function trip(world: World): void {
  for (let i = 0; i < breaker.threshold; i++) {
    world.submit(`fault${i}`);
    world.lose(`fault${i}`);
    world.cancel(`fault${i}`);
    world.end(`fault${i}`, { ending: { kind: "aborted" } });
  }
}

const notes = (world: World, about: string) => world.of("Note").filter((note) => note.about === about);

test("so many faults in a row open the breaker of a pool: nothing is sent and new tasks are refused", () => {
  const world = fragile();
  world.submit("a");
  world.submit("waits");
  world.lose("a");
  world.lose("a");
  assert.equal(notes(world, "breaker-opened").length, 0);
  assert.equal(world.attempts("waits").length, 1);
  world.lose("waits");
  assert.equal(notes(world, "breaker-opened").length, 1);
  assert.equal(world.attempts("waits").length, 1);
  const [refused] = only(world.submit("b"), "RefuseTask");
  assert.equal(refused?.code, "POOL_UNREADY");
  assert.equal(refused?.details.retry_after_ms, 10_000);
});

/** Two replicas; one task may fail on both and then on one of them again. */
function fragilePair(threshold: number): World {
  const world = new World({ settings: settings({ pools: [pool({ breaker: { ...breaker, threshold } })] }) });
  world.replica("p", "r1");
  return world;
}

test("a task that fails on one replica after another counts once: it may be at fault itself", () => {
  const world = fragilePair(3);
  for (const id of ["bad0", "bad1"]) {
    world.submit(id);
    world.lose(id);
    world.lose(id);
    world.pass(1000);
    world.lose(id);
    assert.equal(world.outcome(id)?.kind, "failed");
    world.pass(1000);
  }
  assert.equal(notes(world, "breaker-opened").length, 0);
  world.submit("bad2");
  world.lose("bad2");
  assert.equal(notes(world, "breaker-opened").length, 1);
});

test("such a task shows nothing as a trial, either, and another may try", () => {
  const world = fragilePair(1);
  world.submit("bad");
  world.lose("bad");
  world.replica("p", world.attempts("bad")[0]?.replicaId ?? "", { status: "failed" });
  world.pass(10_000);
  assert.equal(world.attempts("bad").length, 2);
  world.submit("good");
  world.lose("bad");
  world.pass(1000);
  world.lose("bad");
  world.pass(1000);
  assert.equal(notes(world, "breaker-opened").length, 1);
  world.end("good");
  assert.equal(notes(world, "breaker-closed").length, 1);
});

test("a task that succeeds ends the row of faults", () => {
  const world = fragile({ slots: 2 });
  for (const id of ["a", "b", "c", "d", "e", "f"]) world.submit(id);
  world.lose("a");
  world.lose("b");
  world.end("a");
  world.lose("b");
  world.lose("c");
  assert.equal(notes(world, "breaker-opened").length, 0);
});

test("drains, preemptions and cancels are no faults", () => {
  const world = fragile();
  world.submit("a");
  for (const reason of ["drain", "preempted", "drain", "preempted"] as const) {
    world.lose("a", { ending: { kind: "lost", reason, message: "" } });
  }
  for (let i = 0; i < 5; i++) {
    world.submit(`c${i}`);
    world.cancel("a");
    world.cancel(`c${i}`);
    world.end(i === 0 ? "a" : `c${i - 1}`, { ending: { kind: "aborted" } });
  }
  assert.equal(notes(world, "breaker-opened").length, 0);
});

test("when the pause is over one task may try, the others wait for what it shows", () => {
  const world = fragile({ slots: 3 });
  for (const id of ["a", "b", "c", "d"]) world.submit(id);
  for (const id of ["a", "b", "c"]) world.lose(id);
  assert.equal(world.of("DispatchAttempt").length, 5);
  for (const id of ["a", "b"]) world.end(id, { ending: { kind: "lost", reason: "crash", message: "" } });
  const effects = world.pass(10_000);
  assert.equal(only(effects, "DispatchAttempt").length, 1);
  world.submit("late");
  assert.equal(world.attempts("late").length, 0);
});

test("a trial that succeeds closes the breaker, one that fails opens it again at once", () => {
  const world = fragile();
  trip(world);
  world.pass(10_000);
  world.submit("trial");
  world.lose("trial");
  assert.equal(notes(world, "breaker-opened").length, 2);
  assert.equal(world.attempts("trial").length, 1);
  world.pass(9999);
  assert.equal(world.attempts("trial").length, 1);
  world.pass(1);
  assert.equal(world.attempts("trial").length, 2);
  world.end("trial");
  assert.equal(notes(world, "breaker-closed").length, 1);
  world.submit("b");
  world.lose("b");
  assert.equal(world.attempts("b").length, 2);
});

test("a trial that is cancelled or refused tells nothing, and another may try", () => {
  const world = fragile();
  trip(world);
  world.pass(10_000);
  world.submit("trial");
  world.submit("next");
  world.submit("last");
  world.cancel("trial");
  assert.equal(world.attempts("next").length, 0);
  world.end("trial", { ending: { kind: "aborted" } });
  assert.equal(world.attempts("next").length, 1);
  world.end("next", { ending: { kind: "refused", code: "INTERNAL", message: "no" } });
  assert.equal(world.attempts("last").length, 1);
  assert.equal(notes(world, "breaker-closed").length, 0);
});

test("tasks that wait while the breaker is open are served when it closes, in their order", () => {
  const world = fragile();
  for (const id of ["a", "b", "c", "d"]) world.submit(id);
  for (const id of ["a", "a", "b"]) world.lose(id);
  world.pass(10_000);
  for (const id of ["b", "c", "d"]) {
    assert.equal(world.outcome(id), undefined);
    world.end(id);
    assert.equal(world.outcome(id)?.kind, "done");
  }
});
