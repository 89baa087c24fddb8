import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parser } from "./parse.ts";
import { endFrameId, frames, frameText, parseFrameId, waitingText } from "./stream.ts";

test("a stream speaks exactly five words", () => {
  assert.deepEqual(Object.keys(frames), ["started", "token", "metrics", "end", "error"]);
});

test("the frame of a failure always names the engine", () => {
  const failure = {
    code: "INTERNAL",
    message: "It failed.",
    retriable: false,
    job_id: "0b9fcd64-9a0c-4d3c-9b59-6b1d3f6b6f0a",
    correlation_id: "c",
  };
  const { problems } = parser(frames.error);
  assert.deepEqual(problems({ ...failure, engine: "vllm" }), []);
  assert.deepEqual(
    problems(failure).map((each) => each.path),
    ["engine"],
  );
});

test("a frame is an optional id, the event, one line of JSON and a blank line", () => {
  assert.equal(frameText("started", "{}"), "event: started\ndata: {}\n\n");
  const data = JSON.stringify({ t: "two\nlines", i: 3 });
  assert.equal(frameText("token", data, "3-0123abcd"), `id: 3-0123abcd\nevent: token\ndata: ${data}\n\n`);
  assert.equal(frameText("token", data).split("\n").length, 4);
});

test("what a waiting reader is told is a comment, so that an EventSource ignores it", () => {
  const text = waitingText({ queue_position: 2, predicted_start_ms: 900 });
  assert.equal(text, ': waiting {"queue_position":2,"predicted_start_ms":900}\n\n');
});

test("a frame id that was sent is understood when it comes back", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 31 }),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      (index, lane) => {
        const digest = lane.toString(16).padStart(8, "0");
        assert.deepEqual(parseFrameId(`${index}-${digest}`), { index, digest });
        assert.deepEqual(parseFrameId(`${index}`), { index });
      },
    ),
  );
  assert.equal(parseFrameId("end"), endFrameId);
});

test("anything else is not a frame id", () => {
  for (const text of [
    "",
    "-1",
    "01",
    "1.5",
    "1-",
    "1-xyz",
    "1-0123ABCD",
    "1-0123abcd\n",
    "99999999999",
    "End",
  ]) {
    assert.equal(parseFrameId(text), undefined, JSON.stringify(text));
  }
});
