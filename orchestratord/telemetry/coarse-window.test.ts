import assert from "node:assert/strict";
import { test } from "node:test";
import { CoarseWindow } from "./coarse-window.ts";

const hourMs = 3_600_000;

test("however many values came, a day is a day and a percentile is within a fiftieth", () => {
  let nowMs = 0;
  const window = new CoarseWindow(24 * hourMs, () => nowMs);
  for (let n = 0; n < 1000; n++) window.add(100);
  for (nowMs = hourMs; nowMs < 24 * hourMs; nowMs += hourMs) {
    for (let value = 1; value <= 2000; value++) window.add(value / 1000);
  }
  // 46 000 slow ones; the fast thousand of 23 hours ago are the uppermost 2 %.
  assert.equal(window.percentile(0.99), 100);
  const median = window.percentile(0.5) as number;
  assert.ok(median > 1.0 && median < 1.06, String(median));
  nowMs = 25 * hourMs;
  assert.equal(window.percentile(1), 2);
  nowMs = 48 * hourMs;
  assert.equal(window.percentile(1), null);
});

test("nothing goes before its time, and what is older goes within a twenty-fourth of it", () => {
  let nowMs = 0.9 * hourMs;
  const window = new CoarseWindow(24 * hourMs, () => nowMs);
  window.add(0.02);
  nowMs += 24 * hourMs - 1;
  assert.equal(window.percentile(0), 0.02);
  nowMs += hourMs;
  assert.equal(window.percentile(0), null);
});

test("few values are told as they are, and of those that are nearly equal the largest", () => {
  const window = new CoarseWindow(24 * hourMs, () => 0);
  assert.equal(window.percentile(0.95), null);
  for (const value of [0.5, 0.4999, 0.25]) window.add(value);
  assert.equal(window.percentile(0), 0.25);
  assert.equal(window.percentile(0.95), 0.5);
});
