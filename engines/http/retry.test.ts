import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isRetriedStatus, pauseMs, retryDelayMs, retryPolicy, seededRandom } from "./retry.ts";

test("a pause lies between nothing and its step, and a seed repeats the schedule", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const [a, b] = [seededRandom(seed), seededRandom(seed)];
      for (let retry = 0; retry < 8; retry += 1) {
        const delayMs = retryDelayMs(retry, a);
        assert.equal(retryDelayMs(retry, b), delayMs);
        assert.ok(delayMs >= 0 && delayMs < Math.min(2_000, 100 * 2 ** retry));
      }
    }),
  );
  assert.deepEqual(retryPolicy, { baseMs: 100, multiplier: 2, capMs: 2_000, attempts: 4 });
});

test("the jitter is full: over many draws it reaches both ends", () => {
  const random = seededRandom(1);
  const delays = Array.from({ length: 1_000 }, () => retryDelayMs(0, random));
  assert.ok(Math.min(...delays) < 5 && Math.max(...delays) > 95);
});

test("what cannot succeed is not tried again, what may is", () => {
  for (const status of [200, 400, 401, 403, 404, 422, 501]) assert.equal(isRetriedStatus(status), false);
  for (const status of [429, 500, 502, 503, 504]) assert.equal(isRetriedStatus(status), true);
});

test("Retry-After is waited for, unless it asks for more than a caller would wait", () => {
  const random = seededRandom(1);
  assert.equal(pauseMs(0, random, "3"), 3_000);
  assert.equal(pauseMs(0, random, "60"), undefined);
  assert.ok((pauseMs(0, random, "Wed, 21 Oct 2026 07:28:00 GMT") ?? 1e9) < 100);
  assert.equal(pauseMs(3, random, undefined), undefined);
});
