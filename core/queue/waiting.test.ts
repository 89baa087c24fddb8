import assert from "node:assert/strict";
import { test } from "node:test";
import { only, pool, settings, World } from "../fixtures/world.ts";

const retryMs = (world: World, id: string) =>
  only(world.submit(id), "RefuseTask")[0]?.details.retry_after_ms ?? assert.fail(`${id} was accepted`);

test("only what is served tells how fast a queue drains; cancels and evictions do not", () => {
  const world = new World({ settings: settings({ pools: [pool({ capacity: 2 })] }) });
  world.submit("runs");
  for (let i = 0; i < 30; i++) {
    world.submit(`w${i}`);
    world.submit(`x${i}`);
    world.cancel(`w${i}`);
    world.cancel(`x${i}`);
  }
  world.submit("a");
  world.submit("b");
  assert.equal(retryMs(world, "c"), 1000, "nothing was measured yet");
  world.pass(4000);
  world.end("runs", { attemptTokens: 0 });
  world.submit("c");
  world.pass(4000);
  world.end("a", { attemptTokens: 0 });
  world.submit("d");
  assert.equal(retryMs(world, "e"), 4000);
});

test("a task whose deadline has passed is not placed, even if a slot comes free before its timer fires", () => {
  const world = new World();
  world.submit("runs");
  world.submit("late", { deadlineMs: 1000 });
  world.submit("next");
  world.nowMs = 5000;
  world.end("runs");
  const outcome = world.outcome("late");
  assert.equal(outcome?.kind === "failed" && outcome.code, "DEADLINE_UNMET");
  assert.equal(world.attempts("late").length, 0);
  assert.equal(world.attempts("next").length, 1);
});
