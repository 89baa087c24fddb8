import assert from "node:assert/strict";
import { test } from "node:test";
import { RestartBreaker, restartNumbers } from "./breaker.ts";
import { poolConfig } from "./fixtures/place.ts";

const even = () => 0.5;

function breakerWith(supervision: Record<string, number> = {}): RestartBreaker {
  return new RestartBreaker(restartNumbers(poolConfig({ supervision }).supervision), even);
}

/** Failures one after the other, each as soon as it may, having served that long. */
function fail(breaker: RestartBreaker, servedMs: readonly number[], from = 0): string[] {
  let nowMs = from;
  return servedMs.map((served) => {
    nowMs += served;
    const verdict = breaker.failed(nowMs, served);
    if (verdict.kind === "give-up") return "give-up";
    nowMs += verdict.afterMs;
    return `${verdict.kind} ${verdict.afterMs}`;
  });
}

test("restart storms are bounded by delays, a breaker and a budget, all configurable [OC-POOL-3011]", () => {
  const delays = ["restart 1000", "restart 2000", "restart 4000", "restart 8000"];
  const breaker = breakerWith();
  // Five failures in a row open it; a trial that was not stable for 60 s opens it again.
  const opened = [...delays, "pause 300000", "pause 300000"];
  assert.deepEqual(fail(breaker, [0, 0, 0, 0, 0, 59_999]), opened);
  // One that was closes it, and the delays begin again.
  assert.deepEqual(fail(breaker, [60_000, 0], 1_000_000), ["restart 1000", "restart 2000"]);
  // Without a trial failures count until 300 s were stable.
  const patient = fail(breakerWith(), [0, 299_999, 300_000]);
  assert.deepEqual(patient, ["restart 1000", "restart 2000", "restart 1000"]);
  // Ten restarts fit into a window of 60 s.
  const storm = fail(breakerWith({ initial_ms: 1, max_ms: 1, threshold: 100 }), new Array(11).fill(0));
  assert.deepEqual(storm, [...new Array(10).fill("restart 1"), "give-up"]);
  // The cap holds, and every number may be another.
  const numbers = { initial_ms: 10, max_ms: 25, threshold: 4, open_s: 7, stable_s: 2, max_restarts: 6 };
  const configured = breakerWith({ ...numbers, window_s: 5, reset_s: 3 });
  const told = ["restart 10", "restart 20", "restart 25", "pause 7000", "pause 7000", "restart 10"];
  assert.deepEqual(fail(configured, [0, 0, 0, 0, 1999, 2000]), told);
  assert.deepEqual(fail(configured, [3000], 100_000), ["restart 10"]);
});

test("restarts are allowed again when their window has passed", () => {
  const breaker = breakerWith({ initial_ms: 1, max_ms: 1, threshold: 100, max_restarts: 3 });
  assert.deepEqual(fail(breaker, [0, 0, 0, 0]).at(-1), "give-up");
  assert.deepEqual(fail(breaker, [0], 59_999), ["give-up"]);
  assert.deepEqual(fail(breaker, [0], 60_000), ["restart 1"]);
});
