import assert from "node:assert/strict";
import { test } from "node:test";
import { Fifo, type Link } from "./fifo.ts";
import { conforms, item } from "./queue.conformance.ts";

conforms(
  "Fifo",
  () => new Fifo(),
  (a, b) => a.ordinal < b.ordinal,
);

test("newest first is the same list walked from its other end, whatever has left", () => {
  const fifo = new Fifo<number>();
  const handles = [1, 2, 3, 4, 5].map((n) => fifo.push(n));
  for (const at of [0, 2, 4]) fifo.remove(handles[at] as (typeof handles)[number]);
  assert.deepEqual([...fifo.newestFirst()], [4, 2]);
  assert.deepEqual([...fifo.items()], [2, 4]);
  assert.deepEqual([...new Fifo().newestFirst()], []);
});

test("what is walked over may leave during the walk", () => {
  const fifo = new Fifo<ReturnType<typeof item>>();
  const handles = new Map([1, 2, 3].map((n) => [n, fifo.push(item(n, n))]));
  const seen: number[] = [];
  for (const { name } of fifo.items()) {
    seen.push(name);
    fifo.remove(handles.get(name) as NonNullable<ReturnType<typeof handles.get>>);
  }
  assert.deepEqual(seen, [1, 2, 3]);
  assert.equal(fifo.size, 0);
});

test("a record that is a link goes from one list to another and leaves only the one it is in", () => {
  const [one, other] = [new Fifo<string>(), new Fifo<string>()];
  const link: Link<string> = { item: "x", previous: undefined, next: undefined, list: undefined };
  one.push("a");
  one.join(link);
  one.push("b");
  assert.equal(other.remove(link), false);
  assert.equal(one.remove(link), true);
  other.join(link);
  assert.equal(one.remove(link), false);
  assert.deepEqual([[...one.items()], [...other.items()]], [["a", "b"], ["x"]]);
});
