import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Random } from "./random.ts";

test("equal seeds give equal numbers, and the state alone is enough to go on", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.nat({ max: 50 }), (seed, steps) => {
      const one = Random.seeded(seed);
      const other = Random.seeded(seed);
      for (let i = 0; i < steps; i++) assert.equal(one.next(), other.next());
      const later = new Random(JSON.parse(JSON.stringify(one.state())));
      for (let i = 0; i < 10; i++) assert.equal(later.next(), one.next());
    }),
  );
});

test("numbers stay below their bound and reach every one of them about equally often", () => {
  const random = Random.seeded(7);
  const counts = [0, 0, 0, 0, 0];
  for (let i = 0; i < 50_000; i++) {
    const n = random.below(5);
    counts[n] = (counts[n] as number) + 1;
  }
  assert.equal(
    counts.reduce((a, b) => a + b, 0),
    50_000,
  );
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 400, `${counts}`);
});

test("different seeds, also those that differ in the high bits alone, give different numbers", () => {
  const first = [0, 1, 2, 2 ** 32, 2 ** 33, 2 ** 52].map((seed) => Random.seeded(seed).next());
  assert.equal(new Set(first).size, first.length);
});

test("the numbers are those of sfc32, which other implementations give as well", () => {
  const random = new Random([1, 2, 3, 4]);
  const known = sfc32(1, 2, 3, 4);
  for (let i = 0; i < 100; i++) assert.equal(random.next(), known());
});

/** As published by Chris Doty-Humphrey in PractRand, in the shape JavaScript writes it. */
function sfc32(a: number, b: number, c: number, d: number): () => number {
  return () => {
    a |= 0;
    b |= 0;
    c |= 0;
    d |= 0;
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 4294967296;
  };
}
