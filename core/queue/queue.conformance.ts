// The law of the Queue port: what every order of waiting items keeps, whatever it orders by. The test of an
// implementation names it and says which of two items leaves first.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Ordered, Queue, QueueHandle } from "./queue.ts";

export interface Numbered extends Ordered {
  readonly name: number;
}

export type Before = (a: Numbered, b: Numbered) => boolean;

/** @param before which of two items leaves first; the older one where the queue does not care */
export function conforms(name: string, make: () => Queue<Numbered>, before: Before, ids = ""): void {
  const title = (promise: string) => `${name}: ${promise}${ids === "" ? "" : ` [${ids}]`}`;

  test(`${name}: an empty queue has nothing to give`, () => {
    const queue = make();
    assert.equal(queue.size, 0);
    assert.equal(queue.peek(), undefined);
    assert.deepEqual([...queue.items()], []);
  });

  test(`${name}: a handle that is no longer good, or another queue's, changes nothing`, () => {
    const [queue, other] = [make(), make()];
    const handles = [30, 10, 20].map((deadlineAtMs, ordinal) => queue.push(item(ordinal, deadlineAtMs)));
    const [first, middle] = handles as [QueueHandle<Numbered>, QueueHandle<Numbered>];
    const foreign = other.push(item(9, 5));
    assert.equal(queue.remove(middle), true);
    assert.equal(queue.remove(middle), false);
    assert.equal(queue.remove(foreign), false);
    assert.equal(queue.size, 2);
    assert.equal(other.size, 1);
    assert.equal(queue.remove(first), true);
    assert.deepEqual(
      [...queue.items()].map(({ name }) => name),
      [2],
    );
  });

  test(`${name}: an item may come back after it has left`, () => {
    const queue = make();
    const once = item(1, 10);
    queue.remove(queue.push(once));
    assert.equal(queue.remove(queue.push(once)), true);
    assert.equal(queue.size, 0);
  });

  test(title("any sequence of pushes and removals leaves what a sorted list would"), () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const queue = make();
        let model: { item: Numbered; handle: QueueHandle<Numbered> }[] = [];
        for (const [ordinal, { kind, at, deadlineAtMs }] of steps.entries()) {
          const order = sorted(model, before);
          const victim = kind === "serve" ? order[0] : order[at % Math.max(1, order.length)];
          if (kind === "push") {
            const pushed = item(ordinal, deadlineAtMs);
            model.push({ item: pushed, handle: queue.push(pushed) });
          } else if (victim !== undefined) {
            assert.equal(queue.remove(victim.handle), true);
            assert.equal(queue.remove(victim.handle), false);
            model = model.filter((entry) => entry !== victim);
          }
          const left = sorted(model, before).map((entry) => entry.item);
          assert.equal(queue.size, left.length);
          assert.equal(queue.peek(), left[0]);
          assert.deepEqual([...queue.items()], left);
        }
      }),
    );
  });
}

const step = fc.record({
  kind: fc.constantFrom("push", "push", "push", "remove", "serve"),
  at: fc.nat(200),
  deadlineAtMs: fc.nat(20),
});

export function item(ordinal: number, deadlineAtMs: number): Numbered {
  return { name: ordinal, ordinal, deadlineAtMs };
}

function sorted<E extends { readonly item: Numbered }>(entries: readonly E[], before: Before): E[] {
  return [...entries].sort((a, b) => (before(a.item, b.item) ? -1 : 1));
}
