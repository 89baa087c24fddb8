import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "./fixtures/fake-clock.ts";
import { Timers } from "./timers.ts";

function start() {
  const clock = new FakeClock();
  const fired: string[] = [];
  return { clock, fired, timers: new Timers(clock, (timer) => fired.push(`${timer} at ${clock.nowMs()}`)) };
}

test("a timer fires once, at its time and not before", () => {
  const { clock, fired, timers } = start();
  timers.set("deadline", 500);
  clock.advance(499);
  assert.deepEqual(fired, []);
  clock.advance(1000);
  assert.deepEqual(fired, ["deadline at 500"]);
});

test("a timer that is set again moves, and one that is cleared never fires", () => {
  const { clock, fired, timers } = start();
  timers.set("a", 100);
  timers.set("a", 300);
  timers.set("b", 100);
  timers.clear("b");
  clock.advance(1000);
  assert.deepEqual(fired, ["a at 300"]);
});

test("a wait that the clock cuts short goes on", () => {
  const { clock, fired, timers } = start();
  clock.longestMs = 100;
  timers.set("far", 350);
  clock.advance(349);
  assert.deepEqual(fired, []);
  clock.advance(1);
  assert.deepEqual(fired, ["far at 350"]);
});

test("nothing fires after the end", () => {
  const { clock, fired, timers } = start();
  timers.set("a", 100);
  timers.close();
  clock.advance(1000);
  assert.deepEqual(fired, []);
});
