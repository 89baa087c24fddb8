import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readEvents, SseOverflow } from "./sse.ts";

async function* inPieces(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  let start = 0;
  for (const end of [...ends, bytes.length]) {
    yield bytes.subarray(start, end);
    start = end;
  }
}

async function eventsOf(text: string, cuts: readonly number[] = [], charsMax?: number): Promise<string[]> {
  const events: string[] = [];
  for await (const batch of readEvents(inPieces(Buffer.from(text), cuts), charsMax)) events.push(...batch);
  return events;
}

const lineText = fc
  .string({ unit: "binary", maxLength: 12 })
  .map((text) => text.replace(/[\r\n\0]/g, "é€\u{1f600}"));
const line = fc.oneof(
  { weight: 4, arbitrary: lineText.map((text) => `data: ${text}`) },
  lineText.map((text) => `data:${text}`),
  lineText.map((text) => `:${text}`),
  lineText.map((text) => `event: ${text}`),
  fc.constant("data"),
  fc.constant(""),
);
const lineEnd = fc.constantFrom("\n", "\r\n", "\r");
const stream = fc
  .array(fc.tuple(line, lineEnd), { maxLength: 20 })
  .map((lines) => `${lines.map((pair) => pair.join("")).join("")}\n\n`);

test("any chunking of the bytes gives the same events in the same order, also inside a character [HTU-1003]", () =>
  fc.assert(
    fc.asyncProperty(stream, fc.array(fc.nat(400), { maxLength: 8 }), async (text, cuts) => {
      assert.deepEqual(await eventsOf(text, cuts), await eventsOf(text));
    }),
    { numRuns: 300 },
  ));

test("the space behind data: is optional, and every line end is one", async () => {
  assert.deepEqual(await eventsOf("data: a\n\ndata:b\r\n\r\ndata: c\r\rdata:  d\n\n"), ["a", "b", "c", " d"]);
});

test("comments, data: null and an event that was cut off say nothing", async () => {
  assert.deepEqual(await eventsOf(":\n\n: ping\n\ndata: null\n\ndata: a\n\ndata: b\n"), ["a"]);
});

test("[DONE] ends the events wherever it comes", async () => {
  assert.deepEqual(await eventsOf("data: a\n\ndata: [DONE]\n\ndata: b\n\n"), ["a"]);
});

test("what one piece completes comes together, and a piece that only kept the connection alive is empty", async () => {
  const pieces = ["data: a\n\ndata: b\n\nda", "ta: c\n\n", ":\n\n"].map((text) => Buffer.from(text));
  const batches: (readonly string[])[] = [];
  const source = (async function* () {
    yield* pieces;
  })();
  for await (const batch of readEvents(source)) batches.push(batch);
  assert.deepEqual(batches, [["a", "b"], ["c"], []]);
});

test("an event without an end does not grow over its limit", async () => {
  const long = `data: ${"x".repeat(2_000)}`;
  const cuts = Array.from({ length: 20 }, (_, index) => index * 100);
  await assert.rejects(eventsOf(long, cuts, 1_000), SseOverflow);
});
