import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesText, durationText, parseDurationMs } from "./quantity.ts";

test("a duration reads as a person would say it", () => {
  const cases: [number, string][] = [
    [0, "0 ms"],
    [999, "999 ms"],
    [1200, "1.2 s"],
    [9949, "9.9 s"],
    [9951, "10 s"],
    [59_600, "1 min"],
    [200_000, "3 min 20 s"],
    [7_500_000, "2 h 5 min"],
    [172_800_000, "2 d"],
  ];
  for (const [ms, text] of cases) assert.equal(durationText(ms), text);
});

test("a duration needs its unit, so that nobody waits seconds for milliseconds", () => {
  assert.equal(parseDurationMs("500ms"), 500);
  assert.equal(parseDurationMs("1.5s"), 1500);
  assert.equal(parseDurationMs("5m"), 300_000);
  assert.equal(parseDurationMs("1h"), 3_600_000);
  for (const text of ["30", "", "s", "-1s", "1 fortnight", "1e3s"]) {
    assert.equal(parseDurationMs(text), undefined, text);
  }
});

test("a size has the unit that leaves one to three digits before the point", () => {
  assert.equal(bytesText(0), "0 B");
  assert.equal(bytesText(1023), "1023 B");
  assert.equal(bytesText(1536), "1.5 KiB");
  assert.equal(bytesText(24 * 1024 ** 3), "24.0 GiB");
  assert.equal(bytesText(139.8 * 1024 ** 3), "140 GiB");
});
