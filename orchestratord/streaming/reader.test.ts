import assert from "node:assert/strict";
import { test } from "node:test";
import { OrchError } from "@llama-orch/contract";
import {
  endFrame,
  errorFrame,
  eventsIn,
  followed,
  metricsFrame,
  positionIn,
  type Stage,
  staged,
  startedFrame,
  TestSink,
  texts,
  tokensIn,
} from "./fixtures/stage.ts";

const isInvalid = (error: unknown): boolean =>
  error instanceof OrchError && error.code === "INVALID_PARAMS" && error.message.startsWith("Last-Event-ID");

test(
  "a reader that comes back gets what follows its position, and no second started",
  staged(({ open }) => {
    const stream = open();
    const whole = followed(stream);
    stream.started(startedFrame);
    stream.tokens(texts("a", "b", "c"));
    stream.metrics(metricsFrame, metricsFrame);
    stream.tokens(texts("d"));
    for (const position of [positionIn(whole.text, 1), { index: 1 }]) {
      const back = followed(stream, position);
      assert.ok(whole.text.endsWith(back.text));
      assert.deepEqual(eventsIn(back.text), ["token", "metrics", "token"]);
    }
    assert.deepEqual(eventsIn(followed(stream, { index: 3 }).text), []);
    assert.deepEqual(eventsIn(followed(stream, { index: -1 }).text).slice(0, 2), ["token", "token"]);
    stream.end(endFrame);
    assert.deepEqual(eventsIn(followed(stream, { index: 3 }).text), ["end"]);
    assert.deepEqual(eventsIn(followed(stream, { index: 99 }).text), ["end"]);
  }),
);

test(
  "who can prove more of a stream than a whole one has is told so, and gets no end of it",
  staged(({ open }) => {
    const twin = open();
    const whole = followed(twin);
    twin.started(startedFrame);
    twin.tokens(texts("a", "b", "c"));
    const position = positionIn(whole.text, 2);
    for (const end of [endFrame, { ...endFrame, canceled: true }, errorFrame]) {
      const stream = open();
      stream.started(startedFrame);
      stream.tokens(texts("a"));
      const ahead = followed(stream, position);
      if ("code" in end) stream.error(end);
      else stream.end(end);
      if (end === endFrame) {
        assert.deepEqual([ahead.state, ahead.text], ["destroyed", ""]);
        assert.throws(() => followed(stream, position), isInvalid);
      } else {
        assert.deepEqual(eventsIn(ahead.text), eventsIn(followed(stream, position).text));
        assert.equal(eventsIn(ahead.text).length, 1);
      }
    }
  }),
);

test(
  "a position with the digest of another stream is refused, and costs no reader",
  staged(({ open, readers }) => {
    const stream = open();
    stream.started(startedFrame);
    stream.tokens(texts("a", "b"));
    const position = { index: 1, digest: "00000000" };
    assert.throws(() => followed(stream, position), isInvalid);
    assert.deepEqual(readers, []);
  }),
);

test(
  "a position that does not exist yet waits for it, and proves itself when it comes",
  staged(({ open, readers }) => {
    const twin = open();
    const whole = followed(twin);
    twin.started(startedFrame);
    twin.tokens(texts("a", "b", "c", "d"));
    const stream = open();
    const ahead = followed(stream, { index: 2 });
    const proven = followed(stream, positionIn(whole.text, 2));
    const wrong = followed(stream, { index: 2, digest: "00000000" });
    stream.started(startedFrame);
    stream.tokens(texts("a", "b"));
    assert.equal(ahead.text, "");
    stream.tokens(texts("c", "d"));
    assert.deepEqual(
      [ahead, proven].map(({ text }) => eventsIn(text)),
      [["token"], ["token"]],
    );
    assert.ok(whole.text.endsWith(ahead.text));
    assert.equal(wrong.state, "destroyed");
    assert.deepEqual(readers, [1, 1, 2, 3, 2]);
  }),
);

test(
  "every change of the number of readers is told",
  staged(({ open, readers }) => {
    const stream = open();
    const reader = stream.follow(undefined, new TestSink(), { verbose: false });
    followed(stream);
    reader.close();
    reader.close();
    stream.started(startedFrame);
    stream.end(endFrame);
    assert.deepEqual(readers, [1, 2, 1, 0]);
    assert.equal(stream.readers, 0);
  }),
);

test(
  "a quiet reader gets a keep-alive comment every heartbeat, a busy one none [OC-CTRL-2027]",
  staged(({ open, clock }) => {
    const stream = open({ heartbeatMs: 10_000 });
    const sink = followed(stream);
    const beats = () => sink.text.split(": keep-alive\n\n").length - 1;
    clock.advance(9000);
    assert.equal(beats(), 0);
    clock.advance(1500);
    assert.equal(beats(), 1);
    stream.started(startedFrame);
    for (let n = 0; n < 10; n++) {
      clock.advance(5000);
      stream.tokens(texts("a"));
    }
    assert.equal(beats(), 1);
    clock.advance(31_000);
    assert.equal(beats(), 4);
    stream.metrics(metricsFrame, metricsFrame);
    stream.end(endFrame);
    const tokens = Array.from({ length: 10 }, () => "token");
    assert.deepEqual(eventsIn(sink.text), ["started", ...tokens, "metrics", "end"]);
  }),
);

test(
  "a reader that does not drain is dropped after its time, and may come back where it was",
  staged(({ open, clock, readers }) => {
    const stream = open();
    const sink = followed(stream, undefined, 1);
    stream.started(startedFrame);
    stream.tokens(texts("a"));
    clock.advance(29_000);
    assert.equal(sink.state, "open");
    clock.advance(1500);
    assert.equal(sink.state, "destroyed");
    assert.deepEqual(readers, [1, 0]);
    assert.equal(tokensIn(followed(stream).text), "a");
  }),
);

test(
  "a reader that drains in time is not dropped, and never gets anything while it is full",
  staged(({ open, clock }) => {
    const stream = open({ heartbeatMs: 1000 });
    const sink = followed(stream, undefined, 1);
    stream.started(startedFrame);
    for (let n = 0; n < 10; n++) {
      clock.advance(20_000);
      stream.tokens(texts(`${n}`));
      sink.drain();
    }
    while (sink.isFull) sink.drain();
    assert.equal(tokensIn(sink.text), "0123456789");
  }),
);

test(
  "a slow reader misses metrics first, never a token, and always gets the newest",
  staged((stage: Stage) => {
    const stream = stage.open();
    const sink = followed(stream, undefined, 1);
    stream.started(startedFrame);
    for (let n = 0; n < 5; n++) {
      stream.tokens(texts(`${n}`));
      stream.metrics({ ...metricsFrame, queue_depth: n }, metricsFrame);
    }
    stream.end(endFrame);
    while (sink.state === "open") sink.drain();
    assert.equal(tokensIn(sink.text), "01234");
    assert.deepEqual(
      [...sink.text.matchAll(/queue_depth":(\d)/g)].map(([, n]) => n),
      ["4"],
    );
    assert.equal(stage.metricsDropped(), 4);
    assert.equal(eventsIn(followed(stream).text).filter((event) => event === "metrics").length, 5);
  }),
);

test(
  "a released stream keeps its text until its last reader has it, and no longer",
  staged(({ open, segments }) => {
    const stream = open({ ringBytes: 1000 });
    const slow = followed(stream, undefined, 1);
    stream.started(startedFrame);
    for (let n = 0; n < 100; n++) stream.tokens(texts("x"));
    stream.end(endFrame);
    stream.release();
    assert.ok(segments.liveBytes > 0);
    while (slow.state === "open") slow.drain();
    assert.equal(tokensIn(slow.text).length, 100);
    assert.equal(segments.liveBytes, 0);
    assert.throws(() => followed(stream), /was released/);
  }),
);

test(
  "connections can be closed without a terminal frame",
  staged(({ open, readers }) => {
    const stream = open();
    const sinks = [followed(stream), followed(stream, undefined, 1)];
    stream.started(startedFrame);
    stream.hangUp();
    assert.deepEqual(
      sinks.map(({ state }) => state),
      ["destroyed", "destroyed"],
    );
    assert.deepEqual(readers, [1, 2, 1, 0]);
  }),
);
