import assert from "node:assert/strict";
import { test } from "node:test";
import type { Priority } from "@llama-orch/contract";
import fc from "fast-check";
import { facts, only, pool, settings, World } from "../fixtures/world.ts";
import type { PoolSettings } from "../settings.ts";

type Asked = Parameters<World["submit"]>[1];

const setOf = (world: World) => [...world.orchestrator.state.sets.keys()][0] as string;
const headStartMs = (world: World) => [...world.orchestrator.waiting(setOf(world))][0]?.predictedStartMs;
const told = (world: World, id: string, asked: Asked = {}) =>
  only(world.submit(id, asked), "RefuseTask")[0]?.details.retry_after_ms;

/** Engines that say nothing of their speed, unless they do. */
function worldWith(slots: number, fields: Partial<PoolSettings>, tokensPerS?: number): World {
  const world = new World({ settings: settings({ pools: [pool(fields)] }), ready: false });
  const speed = tokensPerS === undefined ? {} : { tokensPerS };
  world.replica("p", "r0", { facts: facts({ slotsTotal: slots, speed }) });
  return world;
}

/** A world whose engines make exactly ten tokens a second, and do so by themselves. */
class Steady {
  readonly world: World;
  readonly #ends = new Map<string, number>();

  constructor(slots: number, fields: Partial<PoolSettings>) {
    this.world = worldWith(slots, fields, 10);
  }

  submit(id: string, asked: Asked = {}): ReturnType<World["submit"]> {
    return this.#run(this.world.submit(id, asked));
  }

  #run(effects: ReturnType<World["submit"]>): ReturnType<World["submit"]> {
    for (const { jobId, limits } of only(effects, "DispatchAttempt")) {
      this.#ends.set(jobId.slice(4), this.world.nowMs + limits.maxTokens * 100);
    }
    return effects;
  }

  pass(ms: number): void {
    const { world } = this;
    const untilMs = world.nowMs + ms;
    for (;;) {
      const [first] = [...this.#ends].sort((a, b) => a[1] - b[1]);
      if (first === undefined || first[1] > untilMs) break;
      const [id, atMs] = first;
      world.pass(atMs - world.nowMs);
      this.#ends.delete(id);
      this.#run(world.end(id, { attemptTokens: 0 }));
    }
    world.pass(untilMs - world.nowMs);
  }
}

test("who is refused is told when the head of the queue is expected to start, and less as time passes", () => {
  const world = worldWith(2, { capacity: 3 }, 10);
  for (const id of ["a", "b", "c", "d", "e"]) world.submit(id, { maxTokens: 300 });
  world.pass(3000);
  assert.equal(told(world, "f"), 27_000);
  assert.equal(headStartMs(world), 27_000);
  world.pass(6000);
  assert.equal(told(world, "f"), 21_000);
});

test("two departures at almost one time say nothing about the next: it comes when a slot does", () => {
  const world = worldWith(2, { capacity: 3 }, 10);
  const asked = { maxTokens: 300 };
  for (const id of ["a", "b", "c", "d", "e"]) world.submit(id, asked);
  for (const id of ["a", "b"]) {
    world.cancel(id);
    world.pass(15);
    world.end(id, { ending: { kind: "aborted" }, attemptTokens: 0 });
  }
  for (const id of ["f", "g"]) world.submit(id, asked);
  world.pass(1000);
  assert.equal(told(world, "h", asked), 28_985);
  assert.equal(headStartMs(world), 28_985);
});

test("where engines say nothing of their speed, neither does one gap between two departures", () => {
  const world = worldWith(2, { capacity: 3 });
  for (const id of ["a", "b", "c", "d", "e"]) world.submit(id);
  for (const id of ["a", "b"]) {
    world.pass(15);
    world.end(id, { attemptTokens: 0 });
  }
  for (const id of ["f", "g"]) world.submit(id);
  assert.equal(told(world, "h"), 1000);
  world.pass(20_000);
  assert.equal(told(world, "h"), 3000, "what runs on is expected to go on running");
});

test("in a steady world there is room after exactly the time that was told, and a millisecond before there is not", () => {
  const size = fc.integer({ min: 1, max: 90 });
  const kind = fc.tuple(fc.constantFrom<Priority>("interactive", "batch"), size);
  const queue = fc.record({
    tasks: fc.array(kind, { minLength: 12, maxLength: 40 }),
    slots: fc.integer({ min: 1, max: 4 }),
    capacity: fc.integer({ min: 1, max: 6 }),
    gapMs: fc.integer({ min: 0, max: 900 }),
  });
  fc.assert(
    fc.property(queue, ({ tasks, slots, capacity, gapMs }) => {
      const steady = new Steady(slots, { capacity });
      for (const [i, [priority, maxTokens]] of tasks.entries()) {
        const [refused] = only(steady.submit(`${i}`, { priority, maxTokens }), "RefuseTask");
        if (refused !== undefined) {
          const afterMs = refused.details.retry_after_ms as number;
          steady.pass(afterMs - 1);
          assert.equal(only(steady.submit(`${i}`, { priority, maxTokens }), "RefuseTask").length, 1);
          steady.pass(1);
          assert.equal(only(steady.submit(`${i}`, { priority, maxTokens }), "AcceptTask").length, 1);
        }
        steady.pass(gapMs);
      }
    }),
    { numRuns: 60 },
  );
});

for (const [bound, fields] of Object.entries({
  class: {
    classes: { interactive: { weight: 8, queueCapacity: 4 }, batch: { weight: 1, queueCapacity: 3 } },
  },
  "strict class": {
    strictClasses: true,
    classes: { interactive: { weight: 8, queueCapacity: 6 }, batch: { weight: 1, queueCapacity: 3 } },
  },
  token: { maxQueuedTokens: 200 },
})) {
  test(`a ${bound} bound too has room after the time that was told, in most cases`, () => {
    let kept = 0;
    let asked = 0;
    const kind = fc.tuple(
      fc.constantFrom<Priority>("interactive", "batch"),
      fc.integer({ min: 20, max: 60 }),
    );
    fc.assert(
      fc.property(fc.array(kind, { minLength: 20, maxLength: 40 }), fc.nat(3), (tasks, more) => {
        const steady = new Steady(1 + more, fields);
        for (const [i, [priority, maxTokens]] of tasks.entries()) {
          const [refused] = only(steady.submit(`${i}`, { priority, maxTokens }), "RefuseTask");
          if (refused === undefined) continue;
          const afterMs = refused.details.retry_after_ms as number;
          if (afterMs === 60_000) continue;
          steady.pass(afterMs);
          asked++;
          kept += only(steady.submit(`${i}`, { priority, maxTokens }), "AcceptTask").length;
        }
      }),
      { numRuns: 60, seed: 1 },
    );
    assert.ok(asked > 300 && kept / asked > 0.85, `${kept} of ${asked}`);
  });
}

test("a class that is full waits for its own head, behind what other classes have first", () => {
  const classes = { interactive: { weight: 8 }, batch: { weight: 1, queueCapacity: 1 } };
  const world = worldWith(1, { strictClasses: true, classes }, 10);
  world.submit("runs");
  world.batch("b");
  for (const id of ["i1", "i2", "i3"]) world.submit(id);
  assert.equal(told(world, "more", { priority: "batch" }), 4000);
});

test("who is evicted together is told when as many will have left", () => {
  const world = worldWith(1, { fullPolicy: "drop-lru", maxQueuedTokens: 100, strictClasses: true }, 10);
  world.submit("runs");
  for (const id of ["1", "2", "3"]) world.batch(id, { maxTokens: 30 });
  world.submit("large", { maxTokens: 60 });
  const outcome = world.outcome("2");
  assert.equal(outcome?.kind === "failed" && outcome.details.retry_after_ms, 1000 + 3000);
});

const anywhere = { mode: "auto", preferPools: [], avoidPools: [], allowFallback: true } as const;

test("a slot that is free while tasks wait is not the one that their head waits for", () => {
  const pools = ["p", "q"].map((id) => pool({ id, capacity: 1 }));
  const world = new World({ settings: settings({ pools }), ready: false });
  for (const id of ["p", "q"]) world.replica(id, "r0", { facts: facts({ speed: { tokensPerS: 10 } }) });
  const asked = { maxTokens: 50, placement: { ...anywhere, mode: "pin", pinPoolId: "p" } } as const;
  for (const id of ["a", "b"]) world.submit(id, asked);
  assert.equal(world.attempts("b").length, 0);
  assert.equal(told(world, "c", asked), 5000);
});

test("of several full queues the one that has room first tells the time", () => {
  const pools = ["p", "q"].map((id) => pool({ id, capacity: 1 }));
  const world = new World({ settings: settings({ pools }), ready: false });
  for (const [id, tokensPerS] of [
    ["p", 10],
    ["q", 20],
  ] as const) {
    world.replica(id, "r0", { facts: facts({ speed: { tokensPerS }, computeFingerprint: id }) });
  }
  const asked = {
    maxTokens: 100,
    placement: { ...anywhere, mode: "prefer", preferPools: ["p"] },
  } as const;
  for (const id of ["a", "b", "c", "d"]) world.submit(id, asked);
  const [refused] = only(world.submit("e", asked), "RefuseTask");
  assert.match(refused?.message ?? "", /pool p is full/);
  assert.equal(refused?.details.retry_after_ms, 5000);
});

test("where attempts of one kind took different times, their spread is kept in reserve", () => {
  const toldAfter = (unevenMs: number) => {
    const world = worldWith(1, { capacity: 1 });
    for (let i = 0; i < 20; i++) {
      world.submit(`${i}`);
      const decodeMs = 1000 + (i % 2 === 0 ? unevenMs : -unevenMs);
      world.pass(10 + decodeMs);
      world.end(`${i}`, { decodeMs });
    }
    for (const id of ["a", "b"]) world.submit(id);
    const toldMs = told(world, "c") ?? 0;
    return { toldMs, startMs: headStartMs(world) ?? 0 };
  };
  const even = toldAfter(0);
  assert.ok(Math.abs(even.toldMs - even.startMs) <= 1, `${even.toldMs}`);
  const uneven = toldAfter(300);
  const reserveMs = uneven.toldMs - uneven.startMs;
  assert.ok(reserveMs > 200 && reserveMs < 400, `${reserveMs}`);
});

test("bytes of prompts leave with the tasks that have them", () => {
  const world = worldWith(1, { maxBodyBytes: 100 }, 10);
  for (const id of ["runs", "a", "b", "c"]) world.submit(id, {}, { bodyBytes: 30 });
  const toldFor = (bodyBytes: number) =>
    only(world.submit("d", {}, { bodyBytes }), "RefuseTask")[0]?.details.retry_after_ms;
  assert.deepEqual([20, 60].map(toldFor), [1000, 2000]);
});
