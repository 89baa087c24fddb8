import assert from "node:assert/strict";
import { test } from "node:test";
import { clampRetry, departed, newDrain, retryAfterMs } from "./backoff.ts";

test("what was declared counts until a departure was measured, then the measured rate does", () => {
  const drain = newDrain();
  assert.equal(retryAfterMs(drain, 3, 200), 600);
  departed(drain, 1000, true);
  assert.equal(retryAfterMs(drain, 3, 200), 600);
  departed(drain, 1050, true);
  assert.equal(retryAfterMs(drain, 3, 200), 150);
});

test("the time in which a queue was empty says nothing about how fast it drains", () => {
  const drain = newDrain();
  for (const [atMs, more] of [
    [0, true],
    [100, false],
    [60_000, true],
    [60_100, true],
  ] as const) {
    departed(drain, atMs, more);
  }
  assert.equal(retryAfterMs(drain, 1, 5), 100);
});

test("a caller is never told less than a millisecond or more than a minute", () => {
  assert.deepEqual([0, 0.2, 59_999.5, 60_001, Infinity].map(clampRetry), [1, 1, 60_000, 60_000, 60_000]);
});
