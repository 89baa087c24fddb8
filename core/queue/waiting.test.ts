import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { facts, only, pool, settings, World } from "../fixtures/world.ts";

const setId = (world: World) => [...world.orchestrator.state.sets.keys()][0] as string;
const line = (world: World) => [...world.orchestrator.waiting(setId(world))];

test("a cancelled task is never dispatched, its cancel counts once, and those behind it move up by one [OC-CORE-1005]", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 12 }), fc.nat(20), (count, at) => {
      const world = new World();
      world.submit("runs");
      for (let i = 0; i < count; i++) world.submit(`${i}`);
      const gone = `${at % count}`;
      const before = line(world);
      assert.equal(only(world.cancel(gone), "EndTask").length, 1);
      assert.deepEqual(world.cancel(gone), []);
      assert.deepEqual(world.cancel("unknown"), []);
      const after = line(world);
      const expected = before
        .filter(({ jobId }) => jobId !== `job-${gone}`)
        .map(({ jobId, position }) => [jobId, position - (position > Number(gone) ? 1 : 0)]);
      assert.deepEqual(
        after.map(({ jobId, position }) => [jobId, position]),
        expected,
      );
      world.end("runs");
      for (let i = 0; i < count; i++) if (`${i}` !== gone) world.end(`${i}`);
      assert.equal(world.of("DispatchAttempt").length, count);
      assert.equal(world.attempts(gone).length, 0);
    }),
  );
});

test("every waiting task ends at its own deadline, to the millisecond, whatever came and went before it", () => {
  const act = fc.record({
    kind: fc.constantFrom("submit", "submit", "cancel", "pass"),
    ms: fc.integer({ min: 1, max: 500 }),
  });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const world = new World();
      world.submit("runs");
      const due = new Map<string, number>();
      const endedAt = new Map<string, number>();
      for (const [i, { kind, ms }] of acts.entries()) {
        if (kind === "submit" && only(world.submit(`${i}`, { deadlineMs: ms * 20 }), "AcceptTask").length > 0)
          due.set(`job-${i}`, world.nowMs + ms * 20);
        if (kind === "cancel") {
          world.cancel(`${ms % (i + 1)}`);
          due.delete(`job-${ms % (i + 1)}`);
        }
        const untilMs = world.nowMs + (kind === "pass" ? ms : 0);
        while (world.nowMs < untilMs) {
          for (const { jobId, outcome } of only(world.pass(1), "EndTask")) {
            endedAt.set(jobId, world.nowMs);
            assert.equal("code" in outcome && outcome.code, "DEADLINE_UNMET");
          }
        }
      }
      for (const [jobId, atMs] of due)
        assert.equal(endedAt.get(jobId), atMs <= world.nowMs ? atMs : undefined);
    }),
    { numRuns: 30 },
  );
});

test("the deadline timer is set for the earliest deadline, and not anew with every task", () => {
  const world = new World();
  world.submit("runs");
  world.submit("a", { deadlineMs: 5000 });
  const set = (effects: ReturnType<World["submit"]>) =>
    only(effects, "SetTimer")
      .filter(({ timer }) => timer === "deadline")
      .map(({ atMs }) => atMs);
  assert.deepEqual(set(world.submit("b", { deadlineMs: 9000 })), []);
  assert.deepEqual(set(world.submit("c", { deadlineMs: 4000 })), [4000]);
  assert.deepEqual(set(world.pass(4000)), [5000]);
  assert.deepEqual(set(world.pass(1000)), [9000]);
  assert.deepEqual(set(world.pass(4000)), []);
});

test("what comes back from a lost attempt waits outside the capacity, is never evicted and goes first [ORCH-3004]", () => {
  const pools = [pool({ capacity: 1, fullPolicy: "drop-lru" })];
  const world = new World({ settings: settings({ pools }), slots: 2 });
  const two = facts({ slotsTotal: 2 });
  for (const id of ["a", "b"]) world.batch(id);
  world.replica("p", "r1");
  for (const id of ["x", "c"]) world.batch(id);
  world.replica("p", "r0", { status: "failed", facts: two });
  for (const id of ["a", "b"]) world.lose(id);
  assert.equal(line(world).length, 3);
  assert.deepEqual(
    only(world.submit("urgent"), "EndTask").map(({ taskId }) => taskId),
    ["c"],
  );
  assert.deepEqual(
    line(world).map(({ jobId }) => jobId),
    ["job-a", "job-b", "job-urgent"],
  );
});
