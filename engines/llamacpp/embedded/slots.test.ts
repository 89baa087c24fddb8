import assert from "node:assert/strict";
import { test } from "node:test";
import type { LlamaContextSequence } from "node-llama-cpp";
import { Refusal } from "./refusal.ts";
import { Slots } from "./slots.ts";

/** As much of a sequence as choosing a slot looks at. */
const sequence = { contextTokens: [] } as unknown as LlamaContextSequence;
const any = { id: -1 };
const here = new AbortController().signal;

test("who has left already takes no slot and no place in the queue", async () => {
  const slots = new Slots([sequence]);
  const gone = AbortSignal.abort(new Error("gone"));
  await assert.rejects(slots.take(any, gone), /gone/);
  const slot = await slots.take(any, here);
  await assert.rejects(slots.take(any, gone), /gone/);
  assert.deepEqual([slots.busy, slots.deferred], [1, 0]);
  const next = slots.take(any, here);
  slots.give(slot);
  assert.equal(await next, slot);
});

test("as many as 256 wait, in their order, and who comes then is told that there is no slot", async () => {
  const slots = new Slots([sequence]);
  const slot = await slots.take(any, here);
  const served: number[] = [];
  const waiting = Array.from({ length: 256 }, async (_, index) => {
    const taken = await slots.take(any, here);
    served.push(index);
    slots.give(taken);
  });
  const late = new AbortController();
  const refused = slots.take(any, late.signal);
  late.abort();
  await assert.rejects(refused, (error) => error instanceof Refusal && error.status === 503);
  slots.give(slot);
  await Promise.all(waiting);
  assert.deepEqual(served, [...Array(256).keys()]);
  assert.deepEqual([slots.busy, slots.deferred], [0, 0]);
});
