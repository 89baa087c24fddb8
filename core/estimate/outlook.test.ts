import assert from "node:assert/strict";
import { test } from "node:test";
import type { Priority } from "@llama-orch/contract";
import fc from "fast-check";
import { facts, only, World } from "../fixtures/world.ts";

const speed = { tokensPerS: 10 };
const setOf = (world: World) => [...world.orchestrator.state.sets.keys()][0] as string;
const answer = (effects: ReturnType<World["submit"]>) => only(effects, "AcceptTask")[0]?.answer;

function hinted(slots = 1): World {
  const world = new World({ ready: false });
  world.replica("p", "r0", { facts: facts({ slotsTotal: slots, speed }) });
  return world;
}

test("a newcomer of equal tasks starts when the work ahead of it has gone through the slots", () => {
  const world = hinted(2);
  const starts = ["a", "b", "c", "d", "e", "f"].map((id) => answer(world.submit(id))?.predictedStartMs);
  assert.deepEqual(starts, [0, 0, 1000, 1000, 2000, 2000]);
});

test("time that has passed shortens the wait", () => {
  const world = hinted();
  world.submit("a");
  world.pass(400);
  assert.equal(answer(world.submit("b"))?.predictedStartMs, 600);
});

test("a replica that is coming counts from its arrival", () => {
  const world = new World({ ready: false });
  world.replica("p", "r0", { status: "loading", readyInMs: 5000, facts: facts({ speed }) });
  assert.equal(answer(world.submit("a"))?.predictedStartMs, 5000);
  world.pass(2000);
  assert.equal(answer(world.submit("b"))?.predictedStartMs, 4000);
});

test("work that came back from a lost attempt and waits again is ahead of every newcomer", () => {
  const world = hinted();
  world.submit("lost", { maxTokens: 70 });
  world.replica("p", "r1", { facts: facts({ speed }) });
  world.submit("runs");
  world.replica("p", "r0", { status: "failed", facts: facts({ speed }) });
  world.lose("lost");
  assert.equal(answer(world.submit("new"))?.predictedStartMs, 1000 + 7000);
});

test("without hints each place in the queue counts for 100 ms", () => {
  const world = new World();
  const starts = ["a", "b", "c", "d"].map((id) => answer(world.submit(id))?.predictedStartMs);
  assert.deepEqual(starts, [0, 0, 100, 200]);
  assert.deepEqual(
    [...world.orchestrator.waiting(setOf(world))].map(({ position, predictedStartMs }) => [
      position,
      predictedStartMs,
    ]),
    [
      [0, 0],
      [1, 100],
      [2, 200],
    ],
  );
});

test("among equal tasks neither position nor predicted start ever goes back with the next newcomer", () => {
  const sizes = fc.integer({ min: 1, max: 200 });
  fc.assert(
    fc.property(
      sizes,
      fc.nat(30),
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      (size, count, slots, known) => {
        const world = known ? hinted(slots) : new World({ slots });
        let last = { queuePosition: 0, predictedStartMs: 0 };
        for (let i = 0; i < count; i++) {
          const given = answer(world.submit(`${i}`, { maxTokens: size }));
          assert.ok(given !== undefined);
          assert.ok(
            given.queuePosition >= last.queuePosition && given.predictedStartMs >= last.predictedStartMs,
          );
          assert.equal(given.queuePosition, Math.max(0, i - slots));
          last = given;
        }
      },
    ),
    { numRuns: 30 },
  );
});

test("what waiting tasks are shown is when they really start, if engines keep to their speed", () => {
  const kind = fc.record({
    priority: fc.constantFrom<Priority>("interactive", "batch"),
    tenantId: fc.constantFrom("a", "b"),
    maxTokens: fc.integer({ min: 1, max: 40 }),
  });
  const tasks = fc.array(kind, { minLength: 2, maxLength: 20 });
  fc.assert(
    fc.property(tasks, fc.integer({ min: 1, max: 3 }), (tasks, slots) => {
      const world = hinted(slots);
      for (const [i, fields] of tasks.entries()) world.submit(`${i}`, fields);
      const predicted = new Map(
        [...world.orchestrator.waiting(setOf(world))].map((view) => [view.jobId, view.predictedStartMs]),
      );
      const ends = new Map<string, number>();
      const started = new Map<string, number>();
      const run = (effects: ReturnType<World["say"]>) => {
        for (const { jobId } of only(effects, "DispatchAttempt")) {
          started.set(jobId, world.nowMs);
          const { maxTokens } = tasks[Number(jobId.slice(4))] as (typeof tasks)[number];
          ends.set(jobId, world.nowMs + maxTokens * 100);
        }
      };
      run(world.effects.slice());
      while (ends.size > 0) {
        const [[jobId, endsAtMs]] = [...ends].sort((a, b) => a[1] - b[1]) as [[string, number]];
        world.pass(endsAtMs - world.nowMs);
        ends.delete(jobId);
        run(world.end(jobId.slice(4), { attemptTokens: 0 }));
      }
      for (const [jobId, startMs] of predicted) {
        assert.ok(
          Math.abs((started.get(jobId) as number) - startMs) <= 1,
          `${jobId} was promised ${startMs}`,
        );
      }
    }),
    { numRuns: 50 },
  );
});

test("batch work ahead of an interactive newcomer counts only as far as it really leaves first", () => {
  const world = hinted();
  world.submit("runs");
  for (const id of ["1", "2", "3", "4"]) world.batch(id);
  const interactive = answer(world.submit("i"));
  assert.equal(interactive?.queuePosition, 0);
  assert.ok((interactive?.predictedStartMs ?? 0) <= 2000, `${interactive?.predictedStartMs}`);
});

test("a class that keeps sending takes its share of the slots from what a batch task is promised", () => {
  const quiet = hinted();
  const busy = hinted();
  for (let i = 0; i < 20; i++) {
    busy.submit(`i${i}`);
    busy.end(`i${i}`, { attemptTokens: 0 });
    for (const world of [quiet, busy]) world.pass(1000);
  }
  for (const world of [quiet, busy]) for (const id of ["1", "2"]) world.batch(id);
  const at = (world: World) => answer(world.batch("3"))?.predictedStartMs ?? 0;
  assert.ok(at(busy) > at(quiet), `${at(busy)} with and ${at(quiet)} without`);
});

test("the on-time probability of a waiting task falls with the work that is ahead of it", () => {
  const world = hinted();
  world.submit("runs", { deadlineMs: 1500 });
  for (const [id, deadlineMs] of Object.entries({ a: 2700, b: 3300, c: 4000 }))
    world.submit(id, { deadlineMs });
  const chance = (id: string) => world.orchestrator.progress(`job-${id}`)?.onTimeProbability ?? Number.NaN;
  assert.ok(chance("runs") > 0.9);
  assert.ok(chance("a") > chance("b") && chance("b") > chance("c"));
  world.pass(1600);
  assert.ok(chance("runs") < 0.5, "it runs past its deadline");
});

test("without hints a place in the queue counts from when the first slot is expected", () => {
  const world = new World({ ready: false });
  world.replica("p", "r0", { status: "loading", readyInMs: 50_000 });
  assert.equal(answer(world.submit("a"))?.predictedStartMs, 50_000);
  assert.equal(answer(world.submit("b"))?.predictedStartMs, 50_100);
  const shown = [...world.orchestrator.waiting(setOf(world))].map(({ predictedStartMs }) => predictedStartMs);
  assert.deepEqual(shown, [50_000, 50_100]);
});

test("a start is 100 ms a place while no speed is known, else the turn among tasks dealt to slots, and never goes back [ADM-01]", () => {
  const sizes = fc.integer({ min: 1, max: 90 });
  fc.assert(
    fc.property(sizes, fc.nat(20), fc.integer({ min: 1, max: 4 }), fc.nat(900), (size, count, slots, ms) => {
      const [known, unknown] = [hinted(slots), new World({ slots })];
      for (const world of [known, unknown]) {
        for (let i = 0; i < slots; i++) world.submit(`runs ${i}`, { maxTokens: size });
      }
      const passedMs = Math.min(ms, size * 100 - 1);
      known.pass(passedMs);
      const free = Array.from({ length: slots }, () => size * 100 - passedMs);
      let last = 0;
      for (let place = 0; place < count; place++) {
        const { predictedStartMs = -1, queuePosition } =
          answer(known.submit(`${place}`, { maxTokens: size })) ?? {};
        const slot = free.indexOf(Math.min(...free));
        assert.ok(
          Math.abs(predictedStartMs - (free[slot] as number)) <= 1,
          `${predictedStartMs} at ${place}`,
        );
        free[slot] = (free[slot] as number) + size * 100;
        assert.ok(predictedStartMs >= last);
        last = predictedStartMs;
        assert.equal(queuePosition, place);
        const blind = answer(unknown.submit(`${place}`, { maxTokens: size }));
        assert.equal(blind?.predictedStartMs, place * 100);
      }
    }),
    { numRuns: 60 },
  );
});
