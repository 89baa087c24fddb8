import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs, seededRandom } from "./backoff.ts";

const numbers = { initialMs: 1000, maxMs: 60_000 };

test("the delay doubles from the first failure and never exceeds its cap", () => {
  const delays = [1, 2, 3, 4, 5, 6, 7, 8, 60, 2000].map((failures) =>
    backoffMs(numbers, failures, () => 0.5),
  );
  assert.deepEqual(delays, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000]);
  const random = seededRandom(7);
  for (let failures = 1; failures < 500; failures++) {
    assert.ok(backoffMs(numbers, failures, random) <= numbers.maxMs);
  }
});

test("delays are spread by a tenth to both sides, and alike for the same seed", () => {
  const spread = (seed: number) => {
    const random = seededRandom(seed);
    return Array.from({ length: 1000 }, () => backoffMs(numbers, 1, random));
  };
  const delays = spread(42);
  assert.ok(Math.min(...delays) >= 900 && Math.min(...delays) < 910);
  assert.ok(Math.max(...delays) <= 1100 && Math.max(...delays) > 1090);
  assert.deepEqual(spread(42), delays);
  assert.notDeepEqual(spread(43), delays);
});
