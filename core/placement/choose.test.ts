import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { candidate, requirements } from "../fixtures/places.ts";
import type { NoPlaceReason } from "../outcome.ts";
import { Random } from "../random.ts";
import { decide, type Rules } from "./choose.ts";
import { type Candidate, infeasible, type Requirements } from "./feasible.ts";

const rules = (fields: Partial<Rules> = {}): Rules => ({
  strategy: "least-loaded",
  random: Random.seeded(7),
  last: undefined,
  affinity: undefined,
  topology: undefined,
  ...fields,
});

const where = (task: Partial<Requirements>, places: readonly Candidate[], fields: Partial<Rules> = {}) => {
  const choice = decide(requirements(task), places, rules(fields));
  return choice.candidate === undefined ? choice.reason : choice.candidate.key;
};

const name = fc.constantFrom("a", "b", "c");
const mask = fc.constantFrom("0", "1", "0,1");
const place = fc
  .record({
    poolId: name,
    replicaId: fc.constantFrom("r1", "r2", "r10"),
    nodeId: fc.constantFrom(null, "n1", "n2"),
    ready: fc.boolean(),
    ctxMax: fc.constantFrom(2048, 4096),
    features: fc.subarray(["x", "y"]),
    deviceMask: mask,
    vramFreeBytes: fc.constantFrom(0, 500, 1000),
    slotsFree: fc.integer({ min: 0, max: 2 }),
    active: fc.integer({ min: 0, max: 2 }),
  })
  .map((fields) => candidate(fields));
const places = fc.uniqueArray(place, { selector: ({ key }) => key, maxLength: 9 });
const wishes = fc
  .record({
    ctx: fc.constantFrom(100, 4096),
    memoryBytes: fc.constantFrom(0, 500),
    extensions: fc.subarray(["x"]),
    pinPoolId: fc.option(name, { nil: undefined, freq: 4 }),
    preferPools: fc.subarray(["a", "b"], { maxLength: 1 }),
    avoidPools: fc.subarray(["c"]),
    requireDeviceMask: fc.option(mask, { nil: undefined, freq: 4 }),
    allowFallback: fc.boolean(),
  })
  .map((fields) => requirements(fields));
const strategy = fc.constantFrom("least-loaded", "round-robin", "random" as const);

test("the order in which candidates come never changes the choice [OC-CORE-DET-1018, OC-CORE-DET-1033, ORCH-3251]", () => {
  const shuffled = places.chain((given) =>
    fc.tuple(fc.constant(given), fc.shuffledSubarray(given, { minLength: given.length })),
  );
  fc.assert(
    fc.property(shuffled, wishes, strategy, fc.nat(99), ([given, other], task, strategy, seed) => {
      const choose = (from: readonly Candidate[]) =>
        decide(task, from, rules({ strategy, random: Random.seeded(seed) }));
      assert.deepEqual(choose(other), choose(given));
    }),
    { numRuns: 500 },
  );
});

test("what is chosen is always feasible: ready, a free slot, its mask, ctx and features [ORCH-3008, ORCH-3011, OC-CORE-1010, OC-CORE-1011, OC-CORE-1016]", () => {
  fc.assert(
    fc.property(places, wishes, strategy, fc.option(name), (given, task, strategy, affine) => {
      const affinity = given.find(({ poolId }) => poolId === affine)?.key;
      const { candidate: chosen } = decide(task, given, rules({ strategy, affinity }));
      const feasible = given.filter((place) => infeasible(task, place) === undefined);
      if (chosen === undefined) {
        assert.ok(feasible.every(({ poolId }) => !task.preferPools.includes(poolId) && !task.allowFallback));
        return;
      }
      assert.ok(feasible.includes(chosen));
      assert.ok(chosen.ready && chosen.slotsFree > 0 && chosen.ctxMax >= task.ctx);
      assert.ok(task.requireDeviceMask === undefined || chosen.deviceMask === task.requireDeviceMask);
      assert.ok(task.extensions.every((extension) => chosen.features.includes(extension)));
    }),
    { numRuns: 500 },
  );
});

test("on one node the order is most free VRAM, fewest active slots, lowest replica id, and nothing else [ORCH-3008, OC-CORE-1012, OC-CORE-1017]", () => {
  const onePool = fc.uniqueArray(
    fc.record({
      replicaId: fc.string({ minLength: 1, maxLength: 2, unit: fc.constantFrom("1", "2", "9", "a") }),
      vramFreeBytes: fc.nat(2),
      active: fc.nat(2),
      slotsFree: fc.integer({ min: 1, max: 9 }),
      ctxMax: fc.integer({ min: 4096, max: 9999 }),
    }),
    { selector: ({ replicaId }) => replicaId, minLength: 1 },
  );
  fc.assert(
    fc.property(onePool, strategy, (given, strategy) => {
      const all = given.map((fields) => candidate(fields));
      const [first] = [...all].sort(
        (x, y) =>
          y.vramFreeBytes - x.vramFreeBytes || x.active - y.active || (x.replicaId < y.replicaId ? -1 : 1),
      );
      assert.equal(where({}, all, { strategy }), first?.key);
    }),
  );
});

test("the warm replica of a session wins while it is feasible, else the usual order holds [OC-CORE-1013]", () => {
  const big = candidate({ replicaId: "big", vramFreeBytes: 9 });
  const warm = candidate({ replicaId: "warm" });
  assert.equal(where({}, [big, warm], { affinity: warm.key }), warm.key);
  assert.equal(where({}, [big, { ...warm, slotsFree: 0 }], { affinity: warm.key }), big.key);
  assert.equal(where({}, [big], { affinity: warm.key }), big.key);
});

test("topology breaks only ties left by load, before replica ids, and is recorded [ORCH-3092]", () => {
  const tied = [
    candidate({ replicaId: "1", topology: "far" }),
    candidate({ replicaId: "2", topology: "near" }),
  ];
  assert.equal(where({}, tied, { topology: "near" }), "p/2");
  assert.equal(where({}, tied), "p/1");
  assert.equal(where({}, tied, { topology: "elsewhere" }), "p/1");
  const loaded = [tied[0] as Candidate, candidate({ replicaId: "2", topology: "near", active: 1 })];
  assert.equal(where({}, loaded, { topology: "near" }), "p/1");
  const choice = decide(requirements(), tied, rules({ topology: "near" }));
  assert.deepEqual(choice.candidate && choice.decision.tieBreakers, ["topology"]);
});

test("prefer limits to the preferred pools and falls back to all only where that is allowed [PLACE-3903]", () => {
  const [a, b] = [candidate({ poolId: "a" }), candidate({ poolId: "b", vramFreeBytes: 9 })];
  const prefer = { preferPools: ["a"], allowFallback: true };
  assert.equal(where(prefer, [a, b]), "a/r");
  assert.equal(where(prefer, [{ ...a, slotsFree: 0 }, b]), "b/r");
  assert.equal(
    where({ ...prefer, allowFallback: false }, [{ ...a, slotsFree: 0 }, b]),
    "no_preferred_feasible",
  );
  const choice = decide(requirements(prefer), [b], rules());
  assert.equal(choice.candidate && choice.decision.fallback, true);
});

test("a pin looks at its pool alone and says so when it cannot [PLACE-3903]", () => {
  const [a, b] = [candidate({ poolId: "a" }), candidate({ poolId: "b", vramFreeBytes: 9 })];
  assert.equal(where({ pinPoolId: "a" }, [a, b]), "a/r");
  assert.equal(where({ pinPoolId: "a" }, [{ ...a, ready: false }, b]), "pinned_pool_infeasible");
  assert.equal(where({ pinPoolId: "a" }, [{ ...a, slotsFree: 0 }, b]), "NO_CAPACITY");
});

test("when nothing is feasible, the reason of the place that came nearest is told [OC-CORE-DET-1040]", () => {
  const inOrder: readonly (readonly [NoPlaceReason, Candidate])[] = [
    ["NO_CAPACITY", candidate({ replicaId: "1", slotsFree: 0 })],
    ["INSUFFICIENT_CTX", candidate({ replicaId: "2", ctxMax: 10 })],
    ["EXTENSIONS_UNSATISFIED", candidate({ replicaId: "3", features: [] })],
    ["MASK_UNSATISFIED", candidate({ replicaId: "4", deviceMask: "7" })],
    ["POOL_UNREADY", candidate({ replicaId: "5", ready: false })],
  ];
  const task = requirements({ ctx: 100, extensions: ["x"], requireDeviceMask: "0" });
  const set = inOrder.map(([reason, place]) =>
    reason === "EXTENSIONS_UNSATISFIED" ? place : { ...place, features: ["x"] },
  );
  for (const [i, [reason]] of inOrder.entries()) {
    assert.deepEqual(decide(task, set.slice(i).reverse(), rules()), {
      candidate: undefined,
      reason,
      considered: inOrder.length - i,
    });
  }
  assert.equal(where({}, []), "POOL_UNREADY");
});

test("the decision says what was considered, what was left and why the others were not", () => {
  const given = [
    candidate({ replicaId: "1" }),
    candidate({ replicaId: "2" }),
    candidate({ replicaId: "3", slotsFree: 0 }),
    candidate({ replicaId: "4", ready: false }),
  ];
  const choice = decide(requirements(), given, rules());
  assert.deepEqual(choice.candidate && choice.decision, {
    candidatesTotal: 4,
    candidatesFeasible: 2,
    filters: ["NO_CAPACITY", "POOL_UNREADY"],
    tieBreakers: ["replica_id"],
    pinned: false,
    fallback: false,
    affinity: false,
  });
});

test("a decision is a place with its log, or a reason with what was considered; it changes nothing it was given [PLACE-3900]", () => {
  fc.assert(
    fc.property(places, wishes, strategy, fc.nat(99), (given, task, strategy, seed) => {
      const frozen = Object.freeze(given.map((place) => Object.freeze({ ...place })));
      const choose = () =>
        decide(Object.freeze(task), frozen, rules({ strategy, random: Random.seeded(seed) }));
      const choice = choose();
      assert.deepEqual(choose(), choice);
      if (choice.candidate === undefined) {
        assert.deepEqual(Object.keys(choice).sort(), ["candidate", "considered", "reason"]);
        assert.equal(choice.considered, given.length);
      } else {
        assert.deepEqual(Object.keys(choice).sort(), ["candidate", "decision"]);
        assert.ok(frozen.includes(choice.candidate));
        assert.equal(choice.decision.candidatesTotal, given.length);
      }
    }),
  );
});

test("no other code selects: one file asks decide(), and only there attempts are dispatched [PLACE-3900]", () => {
  const core = join(import.meta.dirname, "..");
  const sources = readdirSync(core, { recursive: true, encoding: "utf8" }).filter(
    (path) => path.endsWith(".ts") && !path.endsWith(".test.ts"),
  );
  const filesWith = (call: RegExp) =>
    sources.filter((path) => call.test(readFileSync(join(core, path), "utf8"))).sort();
  assert.deepEqual(filesWith(/(?<!function )\bdecide\(/), ["placement/place.ts"]);
  assert.deepEqual(filesWith(/(?<!function )\bdispatch\(/), ["placement/place.ts"]);
  assert.deepEqual(filesWith(/type: "DispatchAttempt",/), ["attempts/dispatch.ts"]);
});

test("without wishes any ready place with a free slot may be chosen, whatever else it is [CLOUD-14]", () => {
  fc.assert(
    fc.property(place, strategy, (given, strategy) => {
      const choice = decide(requirements(), [given], rules({ strategy }));
      assert.equal(choice.candidate, given.ready && given.slotsFree > 0 ? given : undefined);
    }),
  );
});
