import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Deadlines } from "./deadlines.ts";
import { earlierDeadline } from "./edf.ts";

interface Waiter {
  readonly ordinal: number;
  readonly deadlineAtMs: number;
  watched: boolean;
  waits: boolean;
}

const waiter = (ordinal: number, deadlineAtMs: number): Waiter => ({
  ordinal,
  deadlineAtMs,
  watched: false,
  waits: false,
});

const step = fc.record({
  kind: fc.constantFrom("come", "come", "leave", "return", "first"),
  at: fc.nat(500),
  deadlineAtMs: fc.nat(30),
});

/** Follows the steps in both, and compares the first after each. */
function follow(steps: readonly { kind: string; at: number; deadlineAtMs: number }[]): void {
  const deadlines = new Deadlines<Waiter>((item) => item.waits);
  const all: Waiter[] = [];
  const enter = (item: Waiter) => {
    item.waits = true;
    deadlines.add(item);
  };
  for (const { kind, at, deadlineAtMs } of steps) {
    const one = all[at % Math.max(1, all.length)];
    if (kind === "come") {
      const item = waiter(all.length, deadlineAtMs);
      all.push(item);
      enter(item);
    } else if (kind === "leave" && one?.waits) {
      one.waits = false;
      deadlines.leave();
    } else if (kind === "return" && one?.waits === false) {
      enter(one);
    }
    const waiting = all.filter((item) => item.waits).sort((a, b) => (earlierDeadline(a, b) ? -1 : 1));
    assert.ok(deadlines.earliestMs() <= (waiting[0]?.deadlineAtMs ?? Infinity));
    if (kind !== "first" && at % 3 > 0) continue;
    assert.equal(deadlines.first(), waiting[0]);
  }
  const order: Waiter[] = [];
  const left = all.filter((item) => item.waits).sort((a, b) => (earlierDeadline(a, b) ? -1 : 1));
  for (let item = deadlines.first(); item !== undefined; item = deadlines.first()) {
    order.push(item);
    item.waits = false;
    deadlines.leave();
  }
  assert.deepEqual(order, left);
  assert.ok(all.every((item) => !item.waits));
}

test("any coming, leaving and coming back shows the earliest deadline of those that wait", () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), follow));
});

test("long runs, in which those that left are swept away, show the same", () => {
  fc.assert(fc.property(fc.array(step, { minLength: 600, maxLength: 1200 }), follow), { numRuns: 20 });
});

test("those that left do not gather: the heap forgets them when they are the majority", () => {
  const deadlines = new Deadlines<Waiter>((item) => item.waits);
  const items = Array.from({ length: 1000 }, (_, i) => waiter(i, 1000 - i));
  for (const item of items) {
    item.waits = true;
    deadlines.add(item);
  }
  for (const item of items.slice(0, 900)) {
    item.waits = false;
    deadlines.leave();
  }
  assert.ok(items.filter((item) => item.watched).length <= 2 * 100 + 64 + 1);
  assert.equal(deadlines.first(), items[999]);
});
