import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { only, World } from "../fixtures/world.ts";

test("a task whose deadline passes while it waits ends with DEADLINE_UNMET and makes room", () => {
  const world = new World();
  world.submit("a");
  world.submit("b", { deadlineMs: 1000 });
  world.submit("c");
  world.pass(999);
  assert.equal(world.outcome("b"), undefined);
  world.pass(1);
  const outcome = world.outcome("b");
  assert.ok(outcome?.kind === "failed" && outcome.code === "DEADLINE_UNMET");
  assert.match(outcome.message, /waited 1000 ms .* deadline of 1000 ms/);
  world.end("a");
  assert.equal(world.attempts("c").length, 1);
});

test("a running attempt goes on past its deadline, and is not on time", () => {
  const world = new World();
  world.submit("a", { deadlineMs: 1000 });
  world.pass(5000);
  assert.equal(world.orchestrator.progress("job-a")?.onTimeProbability, 0);
  const [ended] = only(world.end("a"), "EndTask");
  assert.equal(ended?.outcome.kind, "done");
  assert.equal(ended?.onTime, false);
});

test("a task whose deadline passes while it waits to be resumed ends as any other that waits", () => {
  const world = new World();
  world.submit("a", { deadlineMs: 1000 });
  world.replica("p", "r0", { status: "backing_off" });
  world.lose("a", { frames: 1, tokensOut: 1 });
  world.pass(1000);
  const outcome = world.outcome("a");
  assert.ok(outcome?.kind === "failed" && outcome.code === "DEADLINE_UNMET");
  assert.equal(outcome.tokensOut, 1);
});

test("every waiting task ends exactly at its deadline, in any mixture of deadlines", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 30 }), (deadlines) => {
      const world = new World();
      world.submit("first");
      const accepted = [...deadlines.entries()].filter(
        ([i, deadlineMs]) => only(world.submit(`t${i}`, { deadlineMs }), "AcceptTask").length === 1,
      );
      for (const at of [...new Set(deadlines)].sort((a, b) => a - b)) {
        world.pass(at - world.nowMs);
        for (const [i, deadlineMs] of accepted) {
          assert.equal(world.outcome(`t${i}`) !== undefined, deadlineMs <= at);
        }
      }
    }),
    { numRuns: 30 },
  );
});
