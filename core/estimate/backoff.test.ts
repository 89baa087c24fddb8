import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../random.ts";
import { clampRetry, departed, drainInMs, newDrain } from "./backoff.ts";

test("what was declared counts until departures were watched for as long, then the measured rate does", () => {
  const drain = newDrain();
  const inMs = (places: number) => drainInMs(drain, drain.lastAtMs ?? 0, places, 200);
  assert.equal(inMs(3), 600);
  for (const atMs of [1000, 1050, 1100, 1150]) {
    departed(drain, atMs, true);
    assert.equal(inMs(3), 600);
  }
  departed(drain, 1200, true);
  assert.equal(inMs(3), 150);
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
  assert.equal(drainInMs(drain, 60_100, 1, 5), 100);
});

test("time since the last departure has been waited already, and a queue that is late is later still", () => {
  const drain = newDrain();
  for (const atMs of [0, 1000, 2000]) departed(drain, atMs, true);
  const at = (nowMs: number, places = 1) => drainInMs(drain, nowMs, places, 10);
  assert.deepEqual(
    [2000, 2400, 2900].map((nowMs) => at(nowMs)),
    [1000, 600, 135],
  );
  assert.equal(at(12_000), 1500);
  assert.equal(at(2400, 3), 2600);
});

test("departures at one time do not make the wait for the next one shorter, only that for several", () => {
  const drain = newDrain();
  for (let i = 0; i < 10; i++) {
    departed(drain, i * 30_000, true);
    departed(drain, i * 30_000, true);
  }
  const oneMs = drainInMs(drain, 270_000, 1, 1000);
  const threeMs = drainInMs(drain, 270_000, 3, 1000);
  assert.ok(Math.abs(oneMs - 30_000) < 2000, `${oneMs}`);
  assert.ok(Math.abs(threeMs - 60_000) < 4000, `${threeMs}`);
  const still = newDrain();
  for (let i = 0; i < 3; i++) departed(still, 50, true);
  assert.equal(drainInMs(still, 50, 2, 200), 400, "all at once is no rate");
});

test("callers who come at random into a queue that drains at random wait one mean gap", () => {
  const drain = newDrain();
  const random = Random.seeded(7);
  let nowMs = 0;
  let toldMs = 0;
  for (let i = 0; i < 20_000; i++) {
    const gapMs = -100 * Math.log(1 - random.next());
    departed(drain, nowMs, true);
    if (i > 100) toldMs += gapMs * drainInMs(drain, nowMs + gapMs * random.next(), 1, 1);
    nowMs += gapMs;
  }
  const mean = toldMs / nowMs;
  assert.ok(mean > 70 && mean < 150, `${mean}`);
});

test("a caller is never told less than a millisecond or more than a minute", () => {
  assert.deepEqual([0, 0.2, 59_999.5, 60_001, Infinity].map(clampRetry), [1, 1, 60_000, 60_000, 60_000]);
});
