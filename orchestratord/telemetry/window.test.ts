import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Window } from "./window.ts";

test("a window holds exactly what happened within its length", () => {
  const steps = fc.array(fc.record({ waitMs: fc.nat(400), value: fc.integer({ min: -50, max: 50 }) }));
  fc.assert(
    fc.property(steps, (all) => {
      let nowMs = 0;
      const window = new Window(1000, () => nowMs);
      const entries: { atMs: number; value: number }[] = [];
      for (const { waitMs, value } of all) {
        nowMs += waitMs;
        window.add(value);
        entries.push({ atMs: nowMs, value });
        const inside = entries.filter(({ atMs }) => atMs > nowMs - 1000).map((entry) => entry.value);
        assert.equal(window.count, inside.length);
        assert.equal(
          window.sum,
          inside.reduce((sum, one) => sum + one, 0),
        );
        assert.equal(window.shareUpTo(0), inside.filter((one) => one <= 0).length / inside.length);
      }
    }),
  );
});

test("an empty window knows no mean and no percentile", () => {
  let nowMs = 0;
  const window = new Window(10, () => nowMs);
  window.add(5);
  assert.equal(window.percentile(0.95), 5);
  nowMs = 11;
  assert.equal(window.mean, null);
  assert.equal(window.percentile(0.95), null);
  assert.equal(window.shareUpTo(1), null);
  assert.equal(window.sum, 0);
});

test("a percentile is one of the values", () => {
  const window = new Window(1000, () => 0);
  for (let value = 100; value >= 1; value--) window.add(value);
  assert.equal(window.percentile(0.95), 96);
  assert.equal(window.percentile(0), 1);
  assert.equal(window.percentile(1), 100);
});
