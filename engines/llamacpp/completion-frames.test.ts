import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { faulty } from "../adapter.conformance.ts";
import type { EngineFrame } from "../adapter.ts";
import { readEvents } from "../sse.ts";
import { CompletionFrames, endsInsideStop, type ReadFrames } from "./completion-frames.ts";
import { readTranscripts, type Transcript } from "./transcript.conformance.ts";

const asIs = (text: string) => text;
const recorded = readTranscripts(`${import.meta.dirname}/recorded`);
const streams = recorded.filter(({ key, open, bytes }) => {
  return key.startsWith("post-completion") && !open && bytes.includes("text/event-stream");
});

interface Read {
  readonly frames: EngineFrame[];
  readonly last: ReadFrames | undefined;
}

async function read(pieces: readonly Uint8Array[]): Promise<Read> {
  const reader = new CompletionFrames(asIs);
  const frames: EngineFrame[] = [];
  let last: ReadFrames | undefined;
  const source = (async function* () {
    yield* pieces;
  })();
  for await (const events of readEvents(source)) {
    const batch = reader.read(events);
    frames.push(...batch.frames);
    last = batch;
  }
  return { frames, last };
}

/** The body as the engine wrote it, without the chunks of HTTP. */
function bodyOf({ bytes }: Transcript): Buffer {
  const pieces: Buffer[] = [];
  for (let at = bytes.indexOf("\r\n\r\n") + 4; ; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString("latin1"), 16);
    if (!(size > 0)) return Buffer.concat(pieces);
    pieces.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 4 + size;
  }
}

test("recorded streams cut in two at any byte give the same frames and the same end", async () => {
  const kinds = new Map(streams.map((transcript) => [transcript.key, transcript]));
  assert.ok(kinds.size >= 10);
  for (const [index, transcript] of [...kinds.values()].entries()) {
    const body = bodyOf(transcript);
    const whole = await read([body]);
    assert.ok(whole.last?.end !== undefined, transcript.name);
    // They are much alike: two of them at every byte, the others at some.
    const step = index < 2 ? 1 : 17;
    for (let cut = 1 + index; cut < body.length; cut += step) {
      const { frames, last } = await read([body.subarray(0, cut), body.subarray(cut)]);
      assert.deepEqual(frames, whole.frames);
      assert.deepEqual(last?.end, whole.last.end);
    }
  }
});

test("a recorded stream that stops before its last byte has no end", async () => {
  const [transcript] = streams;
  assert.ok(transcript !== undefined);
  const body = bodyOf(transcript);
  for (let length = 0; length < body.length; length += 1) {
    assert.equal((await read([body.subarray(0, length)])).last?.end, undefined);
  }
});

test("a recorded stream whose engine left out an id shows none from there on", async () => {
  const all = await Promise.all(streams.map((transcript) => read([bodyOf(transcript)])));
  const gaps = all.filter(({ frames }) => frames.some(({ ids }) => ids === undefined));
  assert.ok(gaps.length > 0, "one of the recordings has a gap");
});

function frame(content: string, tokens: readonly number[], predicted: number): string {
  return JSON.stringify({ content, tokens, stop: false, tokens_predicted: predicted });
}

function lastFrame(predicted: number, more: object = {}): string {
  const common = { content: "", tokens: [], stop: true, stop_type: "limit", truncated: false };
  return JSON.stringify({ ...common, tokens_predicted: predicted, tokens_evaluated: 3, ...more });
}

test("ids without text wait for the next text, and a gap ends all knowledge of ids", () => {
  const reader = new CompletionFrames(asIs);
  const first = reader.read([frame("", [1], 1), frame("a", [2], 2), frame("b", [3], 3)]);
  assert.deepEqual(first.frames, [
    { t: "a", ids: [1, 2] },
    { t: "b", ids: [3] },
  ]);
  assert.equal(first.tokens, 3);
  assert.deepEqual(reader.read([frame("€", [5], 5), frame("c", [6], 6)]).frames, [{ t: "€" }, { t: "c" }]);
  const { end, heldIds, tokens } = reader.read([lastFrame(8)]);
  assert.equal(tokens, 8);
  assert.equal(end?.why, "limit");
  assert.equal(heldIds, undefined);
});

test("ids whose text was held back come with the end, unless some are missing", () => {
  const held = (predicted: number) => {
    const reader = new CompletionFrames(asIs);
    reader.read([frame("a", [1], 1), frame("", [2], 2), frame("", [3], 3)]);
    return reader.read([lastFrame(predicted)]).heldIds;
  };
  assert.deepEqual(held(3), [2, 3]);
  assert.equal(held(4), undefined);
});

test("each way to end has its word", () => {
  const why = (more: object) => new CompletionFrames(asIs).read([lastFrame(0, more)]).end?.why;
  assert.equal(why({ stop_type: "eos" }), "eos");
  assert.equal(why({ stop_type: "word", stopping_word: "x" }), "stop");
  assert.equal(why({ stop_type: "limit" }), "limit");
  assert.equal(why({ stop_type: "limit", truncated: true }), "context_full");
  assert.throws(() => why({ stop_type: "none" }), faulty({ kind: "lost", reason: "reset" }));
});

/** As llama-server writes it, of JSON texts. */
const written = (content: string, id: string, predicted: string) =>
  `{"index":0,"content":${content},"tokens":[${id}],"stop":false,"id_slot":-1,"tokens_predicted":${predicted},"tokens_evaluated":9}`;

test("a token is what JSON says, whether its frame is written as usual or in another way", () => {
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.string());
  const count = fc.nat(2 ** 31 - 1);
  const property = fc.property(text, count, count, (content, id, predicted) => {
    const usual = written(JSON.stringify(content), String(id), String(predicted));
    const other = JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(usual)).reverse()));
    assert.deepEqual(new CompletionFrames(asIs).read([usual]), new CompletionFrames(asIs).read([other]));
  });
  fc.assert(property, { numRuns: 500 });
});

test("a frame that is written as usual but for a byte is no JSON, or its numbers are none", () => {
  const wrong = [
    written('"a', "1", "1"),
    written('"a\n"', "1", "1"),
    written('"\\"', "1", "1"),
    written('"a"', "01", "1"),
    written('"a"', "1.5", "1"),
    written('"a"', "", "-1"),
    written('"a"', "1", "01"),
    written('"a"', "1", "2147483648"),
    written('"a"', "2147483648", "1"),
    `${written('"a"', "1", "1")}}`,
  ];
  for (const event of wrong) {
    assert.throws(
      () => new CompletionFrames(asIs).read([event]),
      faulty({ kind: "lost", reason: "reset" }),
      event,
    );
  }
});

test("an error in the stream, and a frame that cannot be read, are faults", () => {
  const failing = (event: string) => () => new CompletionFrames(asIs).read([event]);
  const full = { error: { code: 500, message: "Context size has been exceeded.", type: "server_error" } };
  assert.throws(failing(JSON.stringify(full)), faulty({ kind: "lost", reason: "busy" }));
  assert.throws(failing('{"error":"overloaded"}'), faulty({ kind: "lost", reason: "reset" }));
  for (const event of ['{"index":0,', "[]", "7", '{"content":1,"tokens":[],"tokens_predicted":1}']) {
    assert.throws(failing(event), faulty({ kind: "lost", reason: "reset" }));
  }
});

test("a number that is none is a fault, wherever the engine says it", () => {
  const isFault = faulty({ kind: "lost", reason: "reset" });
  const read = (...events: string[]) => new CompletionFrames(asIs).read(events);
  const timings = { cache_n: 1, prompt_ms: 0.5, predicted_ms: 12.25 };
  const { end } = read(frame("a", [1], 1), lastFrame(1, { timings }));
  assert.deepEqual([end?.cachedTokens, end?.prefillMs, end?.decodeMs], [1, 0.5, 12.25]);
  assert.equal(read(lastFrame(0, { timings: null })).end?.decodeMs, 0);
  for (const wrong of ["quick", -1, 1e300, true, [], {}]) {
    for (const key of Object.keys(timings)) {
      assert.throws(() => read(lastFrame(0, { timings: { ...timings, [key]: wrong } })), isFault, key);
    }
  }
  for (const wrong of ["1", 1.5, -1, 2 ** 31, 1e300, null]) {
    assert.throws(() => read(lastFrame(0, { tokens_predicted: wrong })), isFault);
    assert.throws(() => read(lastFrame(0, { tokens_evaluated: wrong })), isFault);
    assert.throws(() => read(lastFrame(0, { timings: { ...timings, cache_n: wrong ?? "null" } })), isFault);
    assert.throws(
      () => read(JSON.stringify({ content: "a", tokens: [1], tokens_predicted: wrong })),
      isFault,
    );
    assert.throws(
      () => read(JSON.stringify({ content: "a", tokens: [wrong], tokens_predicted: 1 })),
      isFault,
    );
  }
});

test("progress frames are no tokens", () => {
  const progress = { content: "", tokens: [0], stop: false, tokens_predicted: 0, prompt_progress: {} };
  const reader = new CompletionFrames(asIs);
  const { frames, tokens } = reader.read([JSON.stringify(progress), frame("a", [1], 1)]);
  assert.deepEqual(frames, [{ t: "a", ids: [1] }]);
  assert.equal(tokens, 1);
});

test("text may only have been held back when it ends like a stop string begins", () => {
  assert.ok(endsInsideStop("say ab", ["abc"]));
  assert.ok(endsInsideStop("a", ["xyz", "abc"]));
  assert.ok(!endsInsideStop("abc", ["abc"]));
  assert.ok(!endsInsideStop("", ["abc"]));
  assert.ok(!endsInsideStop("abx", ["abc"]));
});
