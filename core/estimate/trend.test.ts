import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { average, learn, newMean, newTrend, predict, type Trend } from "./trend.ts";

const near = (given: number, expected: number, share: number) =>
  assert.ok(Math.abs(given - expected) <= share * Math.max(1, expected), `${given} is not about ${expected}`);

const learnt = (points: readonly (readonly [number, number])[]): Trend => {
  const trend = newTrend();
  for (const [x, y] of points) learn(trend, x, y);
  return trend;
};

test("nothing is predicted before anything was measured", () => {
  assert.equal(predict(newTrend(), 100), 0);
});

test("points on a line are predicted exactly, between and beyond them, without variance", () => {
  const part = fc.integer({ min: 0, max: 500 });
  const xs = fc.uniqueArray(fc.integer({ min: 1, max: 5000 }), { minLength: 2, maxLength: 30 });
  fc.assert(
    fc.property(part, part, xs, part, (base, slope, xs, x) => {
      const line = (at: number) => base + slope * at;
      const trend = learnt([...xs, ...xs, ...xs].map((at) => [at, line(at)] as const));
      near(predict(trend, x), line(x), 1e-3);
    }),
  );
});

test("what is predicted is never negative, and more work never takes less time", () => {
  const point = fc.tuple(fc.nat(5000), fc.nat(100_000));
  fc.assert(
    fc.property(fc.array(point, { minLength: 1 }), fc.nat(5000), fc.nat(5000), (points, a, b) => {
      const trend = learnt(points);
      const [least, most] = [Math.min(a, b), Math.max(a, b)];
      assert.ok(predict(trend, least) >= 0);
      assert.ok(predict(trend, most) >= predict(trend, least) - 1e-6);
      assert.ok(trend.variance >= 0);
    }),
  );
});

test("measurements of one size alone say the time per unit", () => {
  near(
    predict(
      learnt([
        [100, 500],
        [100, 500],
      ]),
      200,
    ),
    1000,
    1e-9,
  );
  near(
    predict(
      learnt([
        [0, 40],
        [0, 60],
      ]),
      200,
    ),
    50,
    0.1,
  );
});

test("an engine that became twice as slow is known for that after some dozens of attempts", () => {
  const trend = newTrend();
  for (let i = 0; i < 100; i++) learn(trend, 10 + (i % 7), 10 * (10 + (i % 7)));
  for (let i = 0; i < 60; i++) learn(trend, 10 + (i % 7), 20 * (10 + (i % 7)));
  near(predict(trend, 12), 240, 0.1);
});

test("the first twenty values of a moving mean count equally, later ones a twentieth each", () => {
  const values = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(values, (values) => {
      const mean = newMean();
      for (const value of values) average(mean, value);
      const exact = values.reduce((sum, value) => sum + value, 0) / values.length;
      const variance = values.reduce((sum, value) => sum + (value - exact) ** 2, 0) / values.length;
      near(mean.value, exact, 1e-9);
      near(mean.variance, variance, 1e-6);
    }),
  );
  const long = newMean();
  for (let i = 0; i < 1000; i++) average(long, 10);
  average(long, 110);
  near(long.value, 15, 1e-9);
});
