import assert from "node:assert/strict";
import { test } from "node:test";
import { type PlacementStrategy, resolveConfig } from "@llama-orch/contract";
import fc from "fast-check";
import { candidate, requirements } from "../fixtures/places.ts";
import { Random } from "../random.ts";
import { decide } from "./choose.ts";
import type { Candidate } from "./feasible.ts";
import { chooseNode, placeName } from "./strategy.ts";

const rules = (strategy: PlacementStrategy, last?: string, random = Random.seeded(1)) => ({
  strategy,
  random,
  last,
});

const spots = [
  ["n2", "a"],
  ["n1", "b"],
  ["n10", "a"],
  ["n1", "a"],
] as const;
const places = spots.map(([nodeId, poolId]) => candidate({ nodeId, poolId }));
const sorted = ["n1 a", "n1 b", "n10 a", "n2 a"];

function picked(given: typeof places, ...how: Parameters<typeof rules>): string {
  const [first] = chooseNode(given, rules(...how));
  return placeName(first?.nodeId ?? null, first?.poolId ?? "");
}

test("round-robin takes the places in the order of node id and pool id, one after the other", () => {
  let last: string | undefined;
  const taken: string[] = [];
  for (let i = 0; i < 6; i++) {
    last = picked(places, "round-robin", last);
    taken.push(last);
  }
  assert.deepEqual(taken, [...sorted, ...sorted.slice(0, 2)]);
  assert.equal(picked(places, "round-robin", "n1 x"), "n10 a", "the last place may be gone");
});

test("random takes every place about equally often, and the same ones for the same seed", () => {
  const draw = (seed: number) => {
    const random = Random.seeded(seed);
    return Array.from({ length: 400 }, () => picked(places, "random", undefined, random));
  };
  assert.deepEqual(draw(3), draw(3));
  assert.notDeepEqual(draw(3), draw(4));
  const counts = Object.groupBy(draw(3), (name) => name);
  assert.deepEqual(Object.keys(counts).sort(), [...sorted].sort());
  for (const taken of Object.values(counts)) assert.ok((taken?.length ?? 0) > 60);
});

test("least-loaded takes most free slots, then most free VRAM, then node id and pool id [CLOUD-15]", () => {
  const [n2a, n1b, n10a, n1a] = places as [
    (typeof places)[0],
    (typeof places)[0],
    (typeof places)[0],
    (typeof places)[0],
  ];
  const least = (...given: typeof places) => picked(given, "least-loaded");
  assert.equal(least({ ...n2a, slotsFree: 3 }, { ...n1b, slotsFree: 2, vramFreeBytes: 99 }), "n2 a");
  assert.equal(least(n2a, { ...n10a, replicaId: "1" }, { ...n10a, replicaId: "2" }), "n10 a", "a sum");
  assert.equal(least({ ...n1b, vramFreeBytes: 5 }, { ...n2a, vramFreeBytes: 6 }), "n2 a");
  assert.equal(least(n2a, n10a, n1b, n1a), "n1 a");
  assert.equal(least(n2a, n10a, n1b), "n1 b");
});

test("all candidates of the chosen pool on the chosen node are left, and no others", () => {
  const two = ["1", "2"].map((replicaId) => candidate({ nodeId: "n1", poolId: "a", replicaId }));
  assert.deepEqual(chooseNode([...places.slice(0, 3), ...two], rules("round-robin")), two);
});

test("candidates of a node are sorted by node id, then pool id; chance is the generator's; the default is least-loaded and decides only between nodes [CLOUD-18]", () => {
  const file = { pools: [{ id: "p", engine: "llamacpp", model: "file:/m.gguf", devices: [0] }] };
  const configured = (environment: Record<string, string>) => {
    const resolved = resolveConfig({ file, environment });
    return resolved.ok ? resolved.config.placement.strategy : resolved.problems;
  };
  assert.equal(configured({}), "least-loaded");
  for (const strategy of ["least-loaded", "round-robin", "random"]) {
    assert.equal(configured({ ORCHESTRATORD_PLACEMENT_STRATEGY: strategy }), strategy);
  }
  const shuffled = fc.shuffledSubarray(places, { minLength: places.length });
  fc.assert(
    fc.property(shuffled, fc.nat(99), (given, seed) => {
      const turns = sorted.map((_, i) => picked(given, "round-robin", sorted[(i + 3) % sorted.length]));
      assert.deepEqual(turns, sorted);
      const drawn = picked(given, "random", undefined, Random.seeded(seed));
      assert.equal(drawn, sorted[Random.seeded(seed).below(sorted.length)]);
      const alone = [
        { ...(given[0] as Candidate), slotsFree: 1 },
        { ...(given[0] as Candidate), slotsFree: 9, replicaId: "z" },
      ];
      for (const strategy of ["least-loaded", "round-robin", "random"] as const) {
        const { candidate: chosen } = decide(requirements(), alone, {
          ...rules(strategy),
          affinity: undefined,
          topology: undefined,
        });
        assert.equal(chosen?.replicaId, "r", "on one node it has no say");
      }
    }),
  );
});
