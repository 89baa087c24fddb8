import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { onTimeProbability } from "./on-time.ts";

/** Areas under the normal curve, as printed in any table. */
const table = [
  [-2, 0.0228],
  [-1, 0.1587],
  [0, 0.5],
  [0.5, 0.6915],
  [1, 0.8413],
  [1.96, 0.975],
] as const;

test("the probability is the normal distribution of the slack", () => {
  for (const [deviations, area] of table) {
    const given = onTimeProbability(1000, 1000 + 50 * deviations, 2500);
    assert.ok(Math.abs(given - area) < 0.001, `${given} is not ${area}`);
  }
});

test("it is never above 0.99, never below 0, and never falls when the deadline is later", () => {
  const ms = fc.integer({ min: -1e7, max: 1e7 });
  fc.assert(
    fc.property(
      ms,
      ms,
      fc.nat(1e6),
      fc.double({ min: 0, max: 1e9, noNaN: true }),
      (finish, due, more, variance) => {
        const sooner = onTimeProbability(finish, due, variance);
        const later = onTimeProbability(finish, due + more, variance);
        assert.ok(sooner >= 0 && later <= 0.99 && sooner <= later);
      },
    ),
  );
});

test("without variance it is all or nothing", () => {
  assert.equal(onTimeProbability(100, 100, 0), 0.99);
  assert.equal(onTimeProbability(101, 100, 0), 0);
});
