// A strict stream after a restart: nothing of it is left but how many frames readers may have, and their
// digest. It is made again, and goes on only if it is the same.

import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineError } from "@llama-orch/engines/adapter";
import { run, typesOf } from "./fixtures/attempt.ts";
import {
  endFrame,
  errorFrame,
  eventsIn,
  followed,
  positionIn,
  type Stage,
  staged,
  startedFrame,
  texts,
  tokensIn,
} from "./fixtures/stage.ts";
import { piecesOf, readFrames } from "./frame-text.ts";
import type { TaskStream } from "./task-stream.ts";

const said = ["Der ", "Mond ", "ist ", "auf", "gegangen"];

/** What an earlier process made, and a stream that has promised its first frames. */
function promising(stage: Stage, frames: number, tokensOut?: number) {
  const before = stage.open();
  before.started(startedFrame);
  before.tokens(texts(...said.slice(0, frames)));
  const { digest } = before;
  before.tokens(texts(...said.slice(frames)));
  const stream = stage.open();
  stream.promise({ frames, digest, ...(tokensOut !== undefined && { tokensOut }) });
  return { stream, digest, text: followed(before).text };
}

const replay = (stage: Stage, stream: TaskStream, wanted: Parameters<typeof run>[1] = {}) =>
  run(stage, { ...wanted, stream, resume: "replayed" });

const crash = () => new EngineError({ kind: "lost", reason: "crash" }, "It is gone.");

test(
  "a promise that is kept is a stream like any other, and its tokens are free",
  staged(async (stage) => {
    const { stream, digest, text } = promising(stage, 3, 4);
    assert.deepEqual([stream.frames, stream.promisedFrames, stream.promisedDigest], [0, 3, digest]);
    const { engine, sink, reports, counted, ended } = replay(stage, stream);
    stage.clock.advance(1000);
    await engine.says("Der ");
    assert.equal(tokensIn(sink.text), "Der ");
    const progress = reports.find(({ type }) => type === "AttemptProgressed");
    assert.partialDeepStrictEqual(progress, { frames: 3, digest });
    assert.deepEqual([stream.frames, stream.promisedFrames, stream.isOwing], [1, 3, true]);
    await engine.says("Mond ", "ist ", "auf");
    assert.deepEqual([stream.frames, stream.promisedFrames, stream.isOwing], [4, 4, false]);
    await engine.says("gegangen");
    await engine.ends();
    const { ending, frames, tokensOut } = await ended();
    assert.deepEqual([ending.kind, frames, tokensOut], ["done", 5, 6]);
    assert.deepEqual(counted, [1, 1]);
    assert.equal(sink.text, text);
  }),
);

test(
  "a promise that is broken is a mismatch, and nothing of the batch that breaks it is shown",
  staged(async (stage) => {
    const { stream } = promising(stage, 3);
    const { engine, sink, ended } = replay(stage, stream);
    await engine.says("Der ");
    await engine.says("Mond ", "war ", "auf");
    const { ending, frames } = await ended();
    assert.deepEqual([ending.kind, frames], ["mismatch", 3]);
    assert.equal(engine.isClosed, true);
    assert.equal(tokensIn(sink.text), "Der ");
    assert.equal(stream.frames, 1);
  }),
);

test(
  "an attempt that ends before it has kept the promise is a mismatch",
  staged(async (stage) => {
    const { stream } = promising(stage, 3);
    const { engine, ended } = replay(stage, stream);
    await engine.says("Der ", "Mond ");
    await engine.ends();
    assert.deepEqual((await ended()).ending, { kind: "mismatch" });
  }),
);

test(
  "a promise outlives lost attempts, before and after something of it was made again",
  staged(async (stage) => {
    const { stream, text } = promising(stage, 4);
    const nothing = replay(stage, stream);
    await nothing.engine.fails(crash());
    assert.equal((await nothing.ended()).frames, 4);
    const some = replay(stage, stream);
    await some.engine.says("Der ", "Mond ");
    await some.engine.fails(crash());
    assert.partialDeepStrictEqual(await some.ended(), { frames: 4, ending: { kind: "lost" } });
    const other = replay(stage, stream);
    await other.engine.says("Der ", "Mo", "nd ", "ist ");
    assert.equal(stream.frames, 3);
    await other.engine.says("ab");
    assert.deepEqual((await other.ended()).ending, { kind: "mismatch" });
    const last = replay(stage, stream);
    await last.engine.says(...said);
    await last.engine.ends();
    assert.deepEqual((await last.ended()).ending, { kind: "done" });
    assert.equal(followed(stream).text, text);
  }),
);

test(
  "a first attempt has nothing to repeat, so it is none where frames are promised",
  staged((stage) => {
    const { stream } = promising(stage, 3);
    return assert.rejects(async () => run(stage, { stream }).ended(), /starts anew after 3 frames/);
  }),
);

test(
  "readers go on where they were, wherever that was, and are refused with the digest of another text",
  staged((stage) => {
    const { stream, text } = promising(stage, 3);
    const places = [0, 1, 2, 3, 4].map((index) => positionIn(text, index));
    const early = places.map((position) => followed(stream, position));
    const bare = followed(stream, { index: 3 });
    const wrong = followed(stream, { index: 2, digest: "00000000" });
    const whole = followed(stream);
    stream.started(startedFrame);
    const late = places.map((position) => followed(stream, position));
    for (const word of said) stream.tokens(texts(word));
    for (const [index, sink] of [...early.entries(), ...late.entries()]) {
      assert.ok(text.endsWith(sink.text));
      assert.equal(eventsIn(sink.text).length, said.length - 1 - index);
    }
    assert.deepEqual(eventsIn(bare.text), ["token"]);
    assert.equal(wrong.state, "destroyed");
    assert.equal(whole.text, text);
  }),
);

test(
  "a cancel during a promised replay shows nothing more, and is no mismatch",
  staged(async (stage) => {
    const { stream, text } = promising(stage, 3);
    const { engine, sink, ended } = replay(stage, stream);
    const ahead = followed(stream, positionIn(text, 4));
    await engine.says("Der ");
    stream.closeGate();
    await engine.says("Mond ", "war ");
    assert.equal(stream.isOwing, false);
    await engine.ends();
    assert.deepEqual((await ended()).ending, { kind: "done" });
    assert.equal(tokensIn(sink.text), "Der ");
    stream.end({ ...endFrame, canceled: true });
    assert.deepEqual(eventsIn(ahead.text), ["end"]);
    assert.deepEqual(eventsIn(followed(stream, positionIn(text, 4)).text), ["end"]);
  }),
);

test(
  "a stream that ends in an error before it has kept its promise tells it to those who are ahead, too",
  staged((stage) => {
    const { stream, text } = promising(stage, 3);
    const ahead = followed(stream, positionIn(text, 3));
    stream.started(startedFrame);
    stream.error(errorFrame);
    assert.deepEqual(eventsIn(ahead.text), ["error"]);
    assert.equal(stream.isOwing, false);
  }),
);

test(
  "time that was given to a task ends no attempt before it has kept the promise",
  staged(async (stage) => {
    const { stream, text } = promising(stage, 3);
    const { engine, sink, reports, ended } = replay(stage, stream, { limits: { budgetMs: 1000 } });
    for (const word of said.slice(0, 3)) {
      await engine.says(word);
      stage.clock.advance(900);
    }
    const { ending, decodeMs } = await ended();
    assert.deepEqual([ending.kind, decodeMs], ["done", 1000]);
    assert.ok(!typesOf(reports).includes("AttemptStalled"));
    assert.ok(text.startsWith(sink.text));
    assert.equal(tokensIn(sink.text), "Der Mond ist ");
  }),
);

test(
  "nothing can be promised of a stream that has frames, and no frames are no promise",
  staged((stage) => {
    const stream = stage.open();
    stream.promise({ frames: 0, digest: stream.digest });
    assert.equal(stream.isOwing, false);
    stream.started(startedFrame);
    stream.tokens(texts("a"));
    assert.throws(() => stream.promise({ frames: 2, digest: "" }), /can promise no others/);
  }),
);

test(
  "a promise is proven in merged frames, too",
  staged((stage) => {
    const { digest } = promising(stage, 3);
    for (const [last, isKept] of [
      ["ist ", true],
      ["war ", false],
    ] as const) {
      const stream = stage.open({ microbatch: true });
      stream.promise({ frames: 3, digest });
      stream.started(startedFrame);
      assert.equal(stream.tokens(texts("Der ")), true);
      assert.equal(stream.tokens(texts("Mond ", last, "auf")), isKept);
    }
  }),
);

test(
  "a reader goes on where it was when the text comes in other batches, in memory or spilled",
  staged((stage) => {
    const words = Array.from({ length: 60 }, (_, n) => `${n}é `);
    const before = stage.open();
    before.started(startedFrame);
    before.tokens(texts(...words.slice(0, 21)));
    const { digest } = before;
    before.tokens(texts(...words.slice(21)));
    const { text } = followed(before);
    const stream = stage.open({ microbatch: true, microbatchTokens: 8, ringBytes: 900 });
    stream.promise({ frames: 21, digest });
    const places = words.map((_, index) => positionIn(text, index));
    const early = places.map((position) => followed(stream, position));
    stream.started(startedFrame);
    for (let n = 0; n < words.length; n += 20) {
      assert.equal(stream.tokens(texts(...words.slice(n, n + 20))), true);
    }
    const ids = new Set(text.match(/^id: .*$/gm));
    for (const sinks of [early, places.map((position) => followed(stream, position))]) {
      for (const [index, sink] of sinks.entries()) {
        const rest = [...readFrames(sink.text)].flatMap(({ data }) => piecesOf(data));
        assert.deepEqual(rest, words.map((t, i) => ({ t, i })).slice(index + 1));
        for (const [id] of sink.text.matchAll(/^id: .*$/gm)) assert.ok(ids.has(id));
      }
    }
    const wrong = { index: 3, digest: positionIn(text, 7).digest as string };
    assert.throws(() => followed(stream, wrong), /frame 3 of this stream has another digest/);
    assert.deepEqual(eventsIn(followed(stream, { index: 58 }).text), ["token"]);
  }),
);
