import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { predictStart } from "./eta.ts";

const slots = fc.array(fc.nat(500), { minLength: 1, maxLength: 8 });

/** Task by task, each to the slot that is free first. */
function byHand(freeAtMs: readonly number[], nowMs: number, itemMs: number, items: number): number {
  const free = freeAtMs.map((at) => Math.max(at, nowMs));
  const next = () => free.indexOf(Math.min(...free));
  for (let left = items; left > 0; left--) free[next()] = (free[next()] as number) + itemMs;
  return Math.min(...free);
}

test("the predicted start is the turn that comes when each task ahead takes the slot that is free first", () => {
  fc.assert(
    fc.property(slots, fc.nat(300), fc.nat(90), fc.nat(60), (freeAtMs, nowMs, itemMs, items) => {
      const predicted = predictStart({ freeAtMs, nowMs, claimed: 0 }, itemMs * items, items);
      const real = byHand(freeAtMs, nowMs, itemMs, items);
      assert.ok(Math.abs(predicted - real) < 1e-6 * Math.max(1, real), `${predicted} is not ${real}`);
    }),
  );
});

test("more work ahead, later slots and more claims never make a start earlier; more slots never later", () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(slots, fc.nat(40), fc.nat(40), share, fc.nat(500), (freeAtMs, a, b, claimed, extra) => {
      const at = (items: number, claim: number, free = freeAtMs) =>
        predictStart({ freeAtMs: free, nowMs: 50, claimed: claim }, items * 30, items);
      const noise = 1e-6;
      assert.ok(at(a + b, claimed) >= at(a, claimed) - noise);
      assert.ok(at(a, claimed) >= at(a, 0) - noise);
      assert.ok(
        at(a, claimed, [...freeAtMs.slice(1), (freeAtMs[0] as number) + b]) >= at(a, claimed) - noise,
      );
      assert.ok(at(a, claimed, [...freeAtMs, extra]) <= at(a, claimed) + noise);
      assert.ok(at(a, claimed) >= 50);
    }),
  );
});

test("with a free slot and nothing ahead a task starts now, whatever is claimed", () => {
  assert.equal(predictStart({ freeAtMs: [900, 10], nowMs: 70, claimed: 0.9 }, 0, 0), 70);
});

test("a million tasks ahead cost no more than a few", () => {
  const outlook = { freeAtMs: [5, 10, 20, 7000], nowMs: 0, claimed: 0 };
  assert.equal(Math.round(predictStart(outlook, 1e8, 1e6)), 25_001_710);
});
