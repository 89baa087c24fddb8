import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { facts, only, pool, settings, World } from "../fixtures/world.ts";
import type { PoolSettings, PreemptionSettings } from "../settings.ts";

const interruptible = facts({ features: ["interruptible_decode"] });
const aborted = { ending: { kind: "aborted" } } as const;

function hard(fields: Partial<PreemptionSettings> = {}, of: Partial<PoolSettings> = {}, slots = 1): World {
  const preemption = { mode: "hard", maxPerMinute: 10, protect: ["interactive"], ...fields } as const;
  const world = new World({ settings: settings({ pools: [pool({ ...of, preemption })] }), ready: false });
  world.replica("p", "r0", { facts: { ...interruptible, slotsTotal: slots } });
  return world;
}

test("an urgent task that finds no slot stops a running one of a lower class, and gets its slot", () => {
  const world = hard();
  world.batch("low");
  const effects = world.submit("urgent");
  assert.deepEqual(only(effects, "AbortAttempt"), [
    { type: "AbortAttempt", jobId: "job-low", attempt: 1, reason: "preempted" },
  ]);
  assert.ok(
    only(effects, "Note").some(({ about, jobId }) => about === "preempted-hard" && jobId === "job-low"),
  );
  assert.deepEqual(world.attempts("urgent"), []);
  world.end("low", { ...aborted, frames: 2 });
  assert.equal(world.attempts("urgent").length, 1);
  assert.equal(world.outcome("low"), undefined);
});

test("what was preempted goes on after the urgent work and says so", () => {
  const world = hard();
  world.batch("low");
  world.batch("later");
  world.submit("urgent");
  world.end("low", { ...aborted, frames: 2 });
  const effects = world.end("urgent");
  const [resumed] = only(effects, "DispatchAttempt");
  assert.equal(resumed?.jobId, "job-low");
  assert.equal(resumed?.preempted, true);
  assert.equal(resumed?.resume, "replayed");
  assert.ok(only(effects, "Note").some(({ about }) => about === "resumed"));
  world.end("low");
  assert.equal(world.outcome("low")?.kind, "done");
});

test("nothing running is stopped unless the mode is hard", () => {
  for (const mode of ["disabled", "soft"] as const) {
    const world = hard({ mode });
    world.batch("low");
    assert.deepEqual(only(world.submit("urgent"), "AbortAttempt"), []);
  }
});

test("nothing running is stopped on an engine that does not say it can be interrupted", () => {
  const world = hard();
  world.replica("p", "r0", { facts: facts() });
  world.batch("low");
  assert.deepEqual(only(world.submit("urgent"), "AbortAttempt"), []);
});

test("a protected class is never stopped, nor one that is as urgent [ORCH-3090]", () => {
  const anyClass = fc.constantFrom("interactive" as const, "batch" as const);
  fc.assert(
    fc.property(
      fc.array(anyClass, { minLength: 2, maxLength: 8 }),
      fc.subarray(["interactive" as const, "batch" as const]),
      (classes, protect) => {
        const world = hard({ protect }, {}, 2);
        for (const [i, priority] of classes.entries()) world.submit(`t${i}`, { priority });
        for (const { jobId } of world.of("AbortAttempt")) {
          const priority = classes[Number(jobId.slice("job-t".length))] ?? assert.fail();
          assert.equal(priority, "batch");
          assert.ok(!protect.includes(priority));
        }
      },
    ),
  );
});

test("by default the class that is protected is interactive, and batch gives way [ORCH-3090]", () => {
  const world = hard();
  world.submit("running");
  assert.deepEqual(only(world.submit("urgent"), "AbortAttempt"), []);
  const protecting = hard({ protect: ["interactive", "batch"] });
  protecting.batch("low");
  assert.deepEqual(only(protecting.submit("urgent"), "AbortAttempt"), []);
});

test("the youngest attempt is stopped, which has least to lose", () => {
  const world = hard({}, {}, 2);
  world.batch("old");
  world.pass(100);
  world.batch("young");
  assert.deepEqual(
    only(world.submit("urgent"), "AbortAttempt").map(({ jobId }) => jobId),
    ["job-young"],
  );
});

test("one urgent task stops one attempt, however often it is looked at", () => {
  const world = hard({}, {}, 2);
  world.batch("one");
  world.batch("two");
  world.submit("urgent");
  world.replica("p", "r0", { facts: { ...interruptible, slotsTotal: 2 } });
  world.batch("three");
  assert.equal(world.of("AbortAttempt").length, 1);
  assert.equal(world.of("Note").filter(({ about }) => about === "preempted-hard").length, 1);
});

test("a pool stops no more attempts in a minute than it may; then urgent work waits [ORCH-3089]", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 4 }),
      fc.array(fc.integer({ min: 0, max: 40_000 }), { minLength: 1, maxLength: 20 }),
      (maxPerMinute, gaps) => {
        const world = hard({ maxPerMinute });
        world.batch("low");
        const stopped: number[] = [];
        for (const [i, gap] of gaps.entries()) {
          world.pass(gap);
          const recent = stopped.filter((atMs) => atMs > world.nowMs - 60_000).length;
          const aborts = only(world.submit(`u${i}`), "AbortAttempt").length;
          assert.equal(aborts, recent < maxPerMinute ? 1 : 0);
          if (aborts === 0) {
            world.cancel(`u${i}`);
            continue;
          }
          stopped.push(world.nowMs);
          world.end("low", aborted);
          world.end(`u${i}`);
        }
      },
    ),
    { numRuns: 50 },
  );
});

test("nothing is stopped for a task that could not run in its place", () => {
  const world = hard();
  world.batch("low");
  const without = only(world.submit("urgent", {}, { extensions: ["grammar"] }), "AbortAttempt");
  assert.deepEqual(without, []);
  const elsewhere = { mode: "auto", preferPools: [], avoidPools: ["p"], allowFallback: true } as const;
  assert.deepEqual(only(world.submit("away", { placement: elsewhere }), "AbortAttempt"), []);
});

test("preemption uses up no try of the task it stops", () => {
  const world = hard();
  world.batch("low");
  for (let i = 0; i < 5; i++) {
    world.submit(`u${i}`);
    world.end("low", aborted);
    world.end(`u${i}`);
  }
  assert.equal(world.attempts("low").length, 6);
  world.end("low");
  assert.equal(world.outcome("low")?.kind, "done");
});

test("a text that could not be continued is not stopped by choice", () => {
  const world = hard({}, { determinism: "best_effort" });
  world.batch("schema", { sampling: { json_schema: { type: "object" } } });
  assert.equal(only(world.submit("urgent"), "AbortAttempt").length, 0);
});

test("an urgent task that nobody can make room for does not stop the next one from getting it", () => {
  const preemption = { mode: "hard", maxPerMinute: 10, protect: ["interactive"] } as const;
  const pools = [pool({ id: "p", preemption }), pool({ id: "q", preemption })];
  const world = new World({ settings: settings({ pools }), ready: false });
  world.replica("p", "r0", { facts: interruptible });
  world.replica("q", "r0", { facts: interruptible });
  const on = (id: string) =>
    ({
      placement: { mode: "pin", pinPoolId: id, preferPools: [], avoidPools: [], allowFallback: true },
    }) as const;
  world.submit("holds p", on("p"));
  world.batch("holds q", on("q"));
  assert.equal(only(world.submit("waits for p", on("p")), "AbortAttempt").length, 0);
  const [aborted] = only(world.submit("takes q"), "AbortAttempt");
  assert.equal(aborted?.jobId, "job-holds q");
});
