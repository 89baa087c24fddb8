import assert from "node:assert/strict";
import { test } from "node:test";
import { only, settings, World } from "../fixtures/world.ts";

function withGrace(disconnectGraceMs: number, cancelOnDisconnect = true): World {
  return new World({ settings: settings({ stream: { disconnectGraceMs, cancelOnDisconnect } }) });
}

function read(world: World, readers: number, taskId = "a") {
  return world.say({ type: "ReadersChanged", jobId: `job-${taskId}`, readers });
}

test("a task is cancelled when its last reader has been away for the grace", () => {
  const world = withGrace(5000);
  world.submit("a");
  read(world, 2);
  assert.deepEqual(read(world, 1), []);
  read(world, 0);
  world.pass(4999);
  assert.equal(world.outcome("a"), undefined);
  const effects = world.pass(1);
  assert.deepEqual(only(effects, "EndTask")[0]?.outcome, {
    kind: "canceled",
    reason: "disconnect",
    tokensOut: 0,
    decodeMs: 0,
  });
  assert.equal(only(effects, "AbortAttempt")[0]?.reason, "disconnect");
});

test("a polite stop cuts readers and cancels nothing, whatever the grace; the next start gives it anew", () => {
  for (const graceMs of [0, 1000]) {
    const world = withGrace(graceMs);
    for (const taskId of ["away", "cut"]) {
      world.submit(taskId);
      read(world, 1, taskId);
    }
    if (graceMs > 0) read(world, 0, "away");
    world.say({ type: "ShutdownBegan" });
    read(world, 0, "cut");
    world.pass(10_000);
    assert.equal(world.outcome("away"), undefined);
    assert.equal(world.outcome("cut"), undefined);
    world.say({ type: "Restarted" });
    world.pass(29_999);
    assert.equal(world.outcome("cut"), undefined);
    world.pass(1);
    assert.equal(world.outcome("cut")?.kind, "canceled");
    assert.equal(world.outcome("away")?.kind, "canceled");
  }
});

test("a reader who comes back in time keeps the task, and leaving again starts the grace anew", () => {
  const world = withGrace(5000);
  world.submit("a");
  read(world, 1);
  read(world, 0);
  world.pass(4000);
  assert.deepEqual(only(read(world, 1), "ClearTimer"), [{ type: "ClearTimer", timer: "grace job-a" }]);
  world.pass(60_000);
  assert.equal(world.outcome("a"), undefined);
  read(world, 0);
  world.pass(4999);
  assert.equal(world.outcome("a"), undefined);
  world.pass(1);
  assert.equal(world.outcome("a")?.kind, "canceled");
});

test("with a grace of nothing the task is cancelled at once", () => {
  const world = withGrace(0);
  world.submit("a");
  read(world, 1);
  assert.equal(only(read(world, 0), "EndTask").length, 1);
});

test("a task that waits is cancelled by its last reader as well", () => {
  const world = withGrace(5000);
  world.submit("b");
  world.submit("a");
  read(world, 1);
  read(world, 0);
  world.pass(5000);
  world.end("b");
  assert.deepEqual(world.attempts("a"), []);
});

test("a task that nobody ever read runs to its end", () => {
  const world = withGrace(0);
  world.submit("a");
  read(world, 0);
  world.pass(100_000);
  world.say({ type: "Restarted" });
  world.pass(100_000);
  world.end("a");
  assert.equal(world.outcome("a")?.kind, "done");
});

test("readers cancel nothing where that is switched off", () => {
  const world = withGrace(0, false);
  world.submit("a");
  read(world, 1);
  read(world, 0);
  world.say({ type: "Restarted" });
  world.pass(100_000);
  assert.equal(world.outcome("a"), undefined);
});

test("after a restart readers have at least 30 s to come back, whatever was left of their grace", () => {
  const world = withGrace(5000);
  world.submit("gone");
  world.submit("a");
  read(world, 1);
  read(world, 1, "gone");
  read(world, 0, "gone");
  world.pass(4000);
  world.say({ type: "Restarted" });
  world.pass(29_999);
  assert.equal(world.outcome("a"), undefined);
  assert.equal(world.outcome("gone"), undefined);
  read(world, 1, "gone");
  world.pass(1);
  assert.equal(world.outcome("a")?.kind, "canceled");
  assert.equal(world.outcome("gone"), undefined);
});

test("a grace that is longer than 30 s stays that long after a restart", () => {
  const world = withGrace(90_000);
  world.submit("a");
  read(world, 1);
  world.say({ type: "Restarted" });
  world.pass(89_999);
  assert.equal(world.outcome("a"), undefined);
  world.pass(1);
  assert.equal(world.outcome("a")?.kind, "canceled");
});

test("a task that ends within the grace leaves no timer behind", () => {
  const world = withGrace(5000);
  world.submit("a");
  read(world, 1);
  read(world, 0);
  assert.deepEqual(only(world.end("a"), "ClearTimer"), [{ type: "ClearTimer", timer: "grace job-a" }]);
  assert.deepEqual(read(world, 1), []);
});

test("a timer that fires after a reader has come back does nothing", () => {
  const world = withGrace(5000);
  world.submit("a");
  read(world, 1);
  read(world, 0);
  read(world, 1);
  assert.deepEqual(world.say({ type: "TimerFired", timer: "grace job-a" }), []);
});
