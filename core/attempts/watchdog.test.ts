import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { overdue } from "./watchdog.ts";

const limits = { firstTokenMs: 30_000, idleMs: 5000, wallMs: 60_000 };

test("the watchdog says wall or idle once the limit has passed, by the times it is given [OC-CORE-1022]", () => {
  const at = (startedAtMs: number, lastTokenAtMs: number | undefined, nowMs: number) =>
    overdue({ startedAtMs, lastTokenAtMs, nowMs }, limits);
  assert.equal(at(0, 1000, 5999), undefined);
  assert.equal(at(0, 1000, 6000), "idle");
  assert.equal(at(0, 59_999, 59_999), undefined);
  assert.equal(at(0, 59_999, 60_000), "wall");
});

test("before the first token only the limit of the first token counts, not the one between tokens", () => {
  const at = (nowMs: number) => overdue({ startedAtMs: 0, lastTokenAtMs: undefined, nowMs }, limits);
  assert.equal(at(29_999), undefined);
  assert.equal(at(30_000), "first_token");
  assert.equal(at(60_000), "wall");
});

test("without a wall limit an attempt may run for as long as its tokens keep coming", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.nat({ max: 4999 }), (startedAtMs, ran, silent) => {
      const lastTokenAtMs = startedAtMs + ran;
      const nowMs = lastTokenAtMs + silent;
      assert.equal(overdue({ startedAtMs, lastTokenAtMs, nowMs }, { ...limits, wallMs: null }), undefined);
    }),
  );
});
