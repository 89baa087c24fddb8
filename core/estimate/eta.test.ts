import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { predictStart } from "./eta.ts";

const slots = fc.array(fc.nat(500), { minLength: 1, maxLength: 8 });

test("the predicted start is the level that the work ahead reaches when it is poured over the slots", () => {
  fc.assert(
    fc.property(slots, fc.nat(300), fc.nat(3000), (freeAtMs, nowMs, work) => {
      let poured = 0;
      let level = nowMs;
      const free = freeAtMs.map((at) => Math.max(at, nowMs));
      /** Millisecond by millisecond, every slot that is free takes one of work. */
      for (; poured < work || !free.some((at) => at <= level); level++) {
        poured += free.filter((at) => at <= level).length;
      }
      const predicted = predictStart({ freeAtMs, nowMs, claimed: 0 }, work);
      assert.ok(Math.abs(predicted - level) <= 1, `${predicted} is not ${level}`);
    }),
  );
});

test("more work ahead, later slots and more claims never make a start earlier; more slots never later", () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(slots, fc.nat(2000), fc.nat(2000), share, fc.nat(500), (freeAtMs, a, b, claimed, extra) => {
      const at = (work: number, claim: number, free = freeAtMs) =>
        predictStart({ freeAtMs: free, nowMs: 50, claimed: claim }, work);
      assert.ok(at(a + b, claimed) >= at(a, claimed));
      assert.ok(at(a, claimed) >= at(a, 0));
      assert.ok(at(a, claimed, [...freeAtMs.slice(1), (freeAtMs[0] as number) + b]) >= at(a, claimed));
      assert.ok(at(a, claimed, [...freeAtMs, extra]) <= at(a, claimed) + 1e-9);
      assert.ok(at(a, claimed) >= 50);
    }),
  );
});

test("with a free slot and nothing ahead a task starts now, whatever is claimed", () => {
  assert.equal(predictStart({ freeAtMs: [900, 10], nowMs: 70, claimed: 0.9 }, 0), 70);
});
