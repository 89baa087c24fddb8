import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Heap } from "./heap.ts";
import { conforms } from "./queue.conformance.ts";
import type { QueueHandle } from "./queue.ts";

conforms(
  "Heap, newest first",
  () => new Heap((a, b) => a.ordinal > b.ordinal),
  (a, b) => a.ordinal > b.ordinal,
);

interface Ranked {
  readonly id: number;
  rank: number;
}

test("an item whose rank has changed is where it belongs once it has moved", () => {
  const moves = fc.array(fc.tuple(fc.nat(100), fc.integer({ min: -50, max: 50 })), { maxLength: 60 });
  fc.assert(
    fc.property(fc.array(fc.nat(50), { minLength: 1, maxLength: 30 }), moves, (ranks, changes) => {
      const heap = new Heap<Ranked>((a, b) => (a.rank !== b.rank ? a.rank < b.rank : a.id < b.id));
      const handles = ranks.map((rank, id) => heap.push({ id, rank }));
      for (const [at, rank] of changes) {
        const handle = handles[at % handles.length] as QueueHandle<Ranked>;
        handle.item.rank = rank;
        heap.moved(handle);
        const least = Math.min(...handles.map((each) => each.item.rank));
        assert.equal(heap.peek()?.rank, least);
      }
      const left: Ranked[] = [];
      for (let item = heap.pop(); item !== undefined; item = heap.pop()) left.push(item);
      const expected = handles.map((handle) => handle.item).sort((a, b) => a.rank - b.rank || a.id - b.id);
      assert.deepEqual(left, expected);
    }),
  );
});
