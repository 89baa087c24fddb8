import assert from "node:assert/strict";
import { test } from "node:test";
import type { FullPolicy, Priority } from "@llama-orch/contract";
import fc from "fast-check";
import { facts, only, pool, settings, World } from "../fixtures/world.ts";
import type { PoolSettings } from "../settings.ts";

const worldWith = (fields: Partial<PoolSettings>) =>
  new World({ settings: settings({ pools: [pool({ strictClasses: true, ...fields })] }) });

const bare = (jobId: string) => jobId.slice(4);
const waiting = (world: World) =>
  [...world.orchestrator.state.jobs.values()]
    .filter(({ place }) => place?.kind === "waiting")
    .map(({ jobId }) => bare(jobId));

/** What a submission did: the refusal's code and label, and who had to go with which code. */
function did(effects: ReturnType<World["submit"]>) {
  const [refused] = only(effects, "RefuseTask");
  const ended = only(effects, "EndTask");
  const gone = ended.map(({ jobId, outcome }) => [bare(jobId), "code" in outcome ? outcome.code : ""]);
  return refused === undefined ? { gone } : { code: refused.code, label: refused.details.policy_label, gone };
}

type Item = readonly [id: string, priority: Priority];

/** Who has to go for a newcomer to a full queue, by the words of the policy. */
function victim(policy: FullPolicy, queue: readonly Item[], newcomer: Priority): Item | undefined {
  const batch = queue.filter(([, priority]) => priority === "batch");
  switch (policy) {
    case "reject":
      return undefined;
    case "drop-lru":
      return batch[0] ?? (newcomer === "interactive" ? queue[0] : undefined);
    case "shed-low-priority":
      return newcomer === "interactive" ? batch.at(-1) : undefined;
    default:
      return policy satisfies never;
  }
}

const act = fc.tuple(
  fc.constantFrom("interactive", "batch", "interactive", "batch", "end", "cancel" as const),
  fc.nat(60),
);

for (const fullPolicy of ["reject", "drop-lru", "shed-low-priority"] as const) {
  for (const capacity of [0, 1, 4]) {
    test(`${fullPolicy} with room for ${capacity}: never more, in order, and only who has to go goes [ORCH-3004, ORCH-3005, ORCH-3250, OC-CORE-1002]`, () => {
      fc.assert(
        fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
          const world = worldWith({ fullPolicy, capacity });
          let queue: Item[] = [];
          let running: string | undefined;
          const order: string[] = [];
          const next = () => {
            const head = queue.find(([, priority]) => priority === "interactive") ?? queue[0];
            running = head?.[0];
            queue = queue.filter((item) => item !== head);
            if (running !== undefined) order.push(`job-${running}`);
          };
          for (const [i, [kind, at]] of acts.entries()) {
            const id = `${i}`;
            if (kind === "end" && running !== undefined) {
              world.end(running);
              next();
            } else if (kind === "cancel" && queue.length > 0) {
              const [gone] = queue[at % queue.length] as Item;
              world.cancel(gone);
              queue = queue.filter(([waits]) => waits !== gone);
            } else if (kind === "interactive" || kind === "batch") {
              const full = queue.length >= capacity;
              const goes = full ? victim(fullPolicy, queue, kind) : undefined;
              const before = world.orchestrator.snapshot();
              const given = did(world.submit(id, { priority: kind }));
              const code = fullPolicy === "drop-lru" ? "QUEUE_FULL_DROP_LRU" : "ADMISSION_REJECT";
              if (full && goes === undefined) {
                assert.deepEqual(given, { code, label: fullPolicy, gone: [] });
                assert.deepEqual(world.orchestrator.snapshot(), before);
              } else {
                assert.deepEqual(given, { gone: goes === undefined ? [] : [[goes[0], code]] });
                queue = [...queue.filter((item) => item !== goes), [id, kind]];
                if (running === undefined) next();
              }
            }
            assert.deepEqual(waiting(world).sort(), queue.map(([waits]) => waits).sort());
            assert.ok(queue.length <= capacity);
            assert.deepEqual(
              world.of("DispatchAttempt").map(({ jobId }) => jobId),
              order,
            );
          }
        }),
        { numRuns: 40 },
      );
    });
  }
}

test("a class that is full by its own capacity refuses, or evicts within itself, while the pool has room [OC-CORE-1001]", () => {
  for (const [fullPolicy, expected] of [
    ["reject", { code: "ADMISSION_REJECT", label: "reject", gone: [] }],
    ["drop-lru", { gone: [["b1", "QUEUE_FULL_DROP_LRU"]] }],
    ["shed-low-priority", { code: "ADMISSION_REJECT", label: "shed-low-priority", gone: [] }],
  ] as const) {
    const classes = { interactive: { weight: 8 }, batch: { weight: 1, queueCapacity: 2 } };
    const world = worldWith({ fullPolicy, capacity: 5, classes });
    world.submit("runs");
    for (const id of ["b1", "b2"]) assert.deepEqual(did(world.batch(id)), { gone: [] });
    world.submit("i1");
    assert.deepEqual(did(world.batch("b3")), expected, fullPolicy);
    assert.deepEqual(did(world.submit("i2")), { gone: [] });
  }
});

test("drop-lru makes room in the class that is full: sending another class away would not help", () => {
  const classes = { interactive: { weight: 8, queueCapacity: 1 }, batch: { weight: 1 } };
  const world = worldWith({ fullPolicy: "drop-lru", capacity: 5, classes });
  for (const id of ["runs", "i1"]) world.submit(id);
  world.batch("b1");
  assert.deepEqual(did(world.submit("i2")), { gone: [["i1", "QUEUE_FULL_DROP_LRU"]] });
});

test("expected tokens of waiting tasks are bounded too, to the token", () => {
  const world = worldWith({ maxQueuedTokens: 100 });
  world.submit("runs");
  assert.deepEqual(did(world.submit("1", { maxTokens: 60 })), { gone: [] });
  assert.equal(did(world.submit("2", { maxTokens: 41 })).code, "ADMISSION_REJECT");
  assert.deepEqual(did(world.submit("3", { maxTokens: 400, expectedTokens: 40 })), { gone: [] });
});

test("drop-lru evicts as many as the newcomer's tokens need, but nobody for one that can never fit", () => {
  const world = worldWith({ fullPolicy: "drop-lru", maxQueuedTokens: 100 });
  world.submit("runs");
  for (const id of ["1", "2", "3"]) world.batch(id, { maxTokens: 30 });
  const dropped = "QUEUE_FULL_DROP_LRU";
  assert.deepEqual(did(world.submit("4", { maxTokens: 60 })).gone, [
    ["1", dropped],
    ["2", dropped],
  ]);
  assert.deepEqual(did(world.submit("5", { maxTokens: 101 })), {
    code: dropped,
    label: "drop-lru",
    gone: [],
  });
  assert.deepEqual(did(world.batch("6", { maxTokens: 90 })), { code: dropped, label: "drop-lru", gone: [] });
});

test("prompts that wait take memory: more bytes than the pool may hold are refused, to the byte", () => {
  const world = worldWith({ maxBodyBytes: 100, fullPolicy: "drop-lru" });
  const send = (id: string, bodyBytes: number) => did(world.submit(id, {}, { bodyBytes }));
  send("runs", 90);
  assert.deepEqual(send("1", 60), { gone: [] });
  assert.deepEqual(send("2", 41), { code: "ADMISSION_REJECT", label: "quota", gone: [] });
  assert.deepEqual(send("2", 40), { gone: [] });
  world.cancel("1");
  assert.deepEqual(send("3", 60), { gone: [] });
});

const soft = { mode: "soft", maxPerMinute: 10, protect: ["interactive"] } as const;

test("soft preemption displaces the newest waiting batch task for an interactive one; what runs goes on [ORCH-3085]", () => {
  const world = worldWith({ capacity: 2, preemption: soft });
  world.batch("runs");
  for (const id of ["b1", "b2"]) world.batch(id);
  const effects = world.submit("urgent");
  assert.deepEqual(did(effects), { gone: [["b2", "ADMISSION_REJECT"]] });
  assert.equal(only(effects, "EndTask")[0]?.outcome.kind, "failed");
  assert.equal(only(effects, "AbortAttempt").length, 0);
  assert.ok(only(effects, "Note").some(({ about }) => about === "preempted-soft"));
  assert.equal(did(world.batch("b3")).code, "ADMISSION_REJECT", "not for work of the same class");
});

test("soft preemption spares protected classes, and is off unless it is configured [ORCH-3085, ORCH-3090]", () => {
  const modes = [
    { ...soft, protect: ["batch", "interactive"] },
    { ...soft, mode: "disabled" },
  ] as const;
  for (const preemption of modes) {
    const world = worldWith({ capacity: 1, preemption });
    world.submit("runs");
    world.batch("waits");
    assert.deepEqual(did(world.submit("urgent")), { code: "ADMISSION_REJECT", label: "reject", gone: [] });
  }
});

test("waiting tasks that can no longer meet their deadline expire before the policy takes anyone [ORCH-3080]", () => {
  for (const fullPolicy of ["reject", "drop-lru", "shed-low-priority"] as const) {
    const world = worldWith({ fullPolicy, capacity: 2 });
    world.submit("teaches");
    world.pass(1100);
    world.end("teaches", { prefillMs: 1000 });
    world.submit("runs", { maxTokens: 4000 });
    world.submit("hopeless", { deadlineMs: 600_000 });
    world.batch("fine");
    world.pass(599_900);
    assert.deepEqual(did(world.submit("new")), { gone: [["hopeless", "DEADLINE_UNMET"]] }, fullPolicy);
  }
});

test("hopeless tasks stay when their places would not be enough", () => {
  const world = worldWith({ maxQueuedTokens: 100 });
  world.submit("runs");
  world.submit("hopeless", { maxTokens: 20, deadlineMs: 1000 });
  world.submit("fine", { maxTokens: 80 });
  world.nowMs = 1000;
  assert.deepEqual(did(world.submit("new", { maxTokens: 30 })).gone, []);
  assert.equal(world.outcome("hopeless"), undefined);
});

test("while the speed is unknown a refused caller is told the time by the rate at which the queue really drains", () => {
  const world = worldWith({ capacity: 2 });
  for (const id of ["0", "1", "2"]) world.submit(id);
  const retry = (id: string) => only(world.submit(id), "RefuseTask")[0]?.details.retry_after_ms;
  for (let i = 0; i < 12; i++) {
    world.pass(250);
    world.end(`${i}`, { attemptTokens: 0 });
    world.submit(`${i + 3}`);
  }
  assert.equal(retry("over"), 250);
  world.pass(100);
  assert.equal(retry("over"), 150);
});

test("the time in which nothing waited does not count as draining", () => {
  const world = worldWith({ capacity: 2 });
  const fill = (round: number) => {
    for (const id of ["a", "b", "c"]) world.submit(`${id}${round}`);
  };
  for (let round = 0; round < 12; round++) {
    fill(round);
    for (const id of ["a", "b", "c"]) {
      world.pass(100);
      world.end(`${id}${round}`, { attemptTokens: 0 });
    }
    world.pass(60_000);
  }
  fill(12);
  const [refused] = only(world.submit("over"), "RefuseTask");
  assert.equal(refused?.details.retry_after_ms, 100);
});

test("with nothing measured yet the declared rate of the engine counts", () => {
  const world = new World({ settings: settings({ pools: [pool({ capacity: 0 })] }), ready: false });
  world.replica("p", "r", { facts: facts({ speed: { tokensPerS: 100, firstTokenMs: 40 } }) });
  const [refused] = only(world.submit("1", { maxTokens: 50 }), "RefuseTask");
  assert.equal(refused?.details.retry_after_ms, 540);
});

test("whether a waiting task is hopeless is told by its own prompt, not by the newcomer's", () => {
  const world = worldWith({ capacity: 1 });
  for (const [id, promptTokens] of [
    ["short", 10],
    ["long", 1000],
  ] as const) {
    world.submit(id);
    world.pass(promptTokens * 10 + 100);
    world.end(id, { promptTokens, prefillMs: promptTokens * 10 });
  }
  world.submit("runs", { maxTokens: 4000 });
  world.submit("short prompt", { deadlineMs: 100_000 }, { promptTokens: 1 });
  world.pass(98_000);
  const large = () => did(world.submit("large", {}, { promptTokens: 1000 }));
  assert.deepEqual(large(), { code: "ADMISSION_REJECT", label: "reject", gone: [] });
  world.cancel("short prompt");
  world.submit("long prompt", { deadlineMs: 100_000 }, { promptTokens: 1000 });
  world.pass(98_000);
  assert.deepEqual(did(world.submit("small")), { gone: [["long prompt", "DEADLINE_UNMET"]] });
});

test("what is told is one place at the measured rate, before that when a slot comes free at the declared one, 1 to 60000 ms [ADM-02]", () => {
  const within = (ms: number) => Math.min(60_000, Math.max(1, Math.ceil(ms)));
  const slots = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 });
  const rate = fc.constantFrom(0.1, 1, 50, 40_000, undefined);
  fc.assert(
    fc.property(slots, rate, fc.constantFrom(250, 2000, 90_000), (slots, tokensPerS, gapMs) => {
      const world = new World({ settings: settings({ pools: [pool({ capacity: 2 })] }), ready: false });
      const speed = tokensPerS === undefined ? {} : { tokensPerS };
      for (const [i, slotsTotal] of slots.entries()) {
        world.replica("p", `r${i}`, { facts: facts({ slotsTotal, speed }) });
      }
      world.replica("p", "down", { status: "failed", facts: facts({ slotsTotal: 5, speed }) });
      const forever = { deadlineMs: 1e12 };
      const all = slots.reduce((sum, each) => sum + each, 0);
      for (let i = 0; i < all + 2; i++) world.submit(`${i}`, forever);
      const told = () => only(world.submit("over", forever), "RefuseTask")[0]?.details.retry_after_ms;
      const serviceMs = 10_000 / (tokensPerS ?? 10);
      assert.equal(told(), within(serviceMs));
      if (tokensPerS !== undefined) {
        world.pass(serviceMs / 4);
        return assert.equal(told(), within(serviceMs - serviceMs / 4));
      }
      for (let i = 0; i < all + 4; i++) {
        world.pass(gapMs);
        world.end(`${i}`, { attemptTokens: 0 });
        world.submit(`${all + 2 + i}`, forever);
      }
      assert.equal(told(), within(gapMs));
    }),
    { numRuns: 60 },
  );
});
