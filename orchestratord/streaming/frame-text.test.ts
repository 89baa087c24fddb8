import assert from "node:assert/strict";
import { test } from "node:test";
import { frames, frameText, parser } from "@llama-orch/contract";
import fc from "fast-check";
import { errorFrame, metricsFrame } from "./fixtures/stage.ts";
import { batchText, frameData, piecesOf, plainMetrics, readFrames, tokenText } from "./frame-text.ts";

test("fields stand in the order of the contract, whatever order they came in", () => {
  const upsideDown = Object.fromEntries(Object.entries({ ...errorFrame, transcript: "sha256:x" }).reverse());
  assert.equal(frameData("error", upsideDown), frameData("error", { ...errorFrame, transcript: "sha256:x" }));
  assert.ok(frameData("error", upsideDown).endsWith(`"transcript":"sha256:x"}`));
});

test("nested values and fields of later versions have one text, too", () => {
  const prep = { b: { status: "running", pct: 1 }, a: { pct: 2, status: "pending" } };
  assert.equal(
    frameData("metrics", { zeta: 1, alpha: { y: 1, x: 2 }, prep, kv_warmth: true, human: undefined }),
    '{"kv_warmth":true,"prep":{"a":{"pct":2,"status":"pending"},"b":{"pct":1,"status":"running"}},"alpha":{"x":2,"y":1},"zeta":1}',
  );
});

test("a token frame has the form of the contract and reads back as it was written", () => {
  const text =
    tokenText(0, 'a "b"\n\n\u2028', "01234567") +
    batchText(
      [
        { t: "c", i: 1 },
        { t: "d", i: 2 },
      ],
      "89abcdef",
    );
  const [first, second] = [...readFrames(text)];
  assert.deepEqual(first && { ...first.data, index: first.index, digest: first.digest }, {
    t: 'a "b"\n\n\u2028',
    i: 0,
    index: 0,
    digest: "01234567",
  });
  assert.deepEqual(second && piecesOf(second.data), [
    { t: "c", i: 1 },
    { t: "d", i: 2 },
  ]);
  assert.equal(second?.end, text.length);
  for (const frame of [first, second]) assert.doesNotThrow(() => parser(frames.token)(frame?.data));
});

test("a token frame is the contract's text of its JSON, whatever its token is", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string(),
    fc.constantFrom('"', "\\", "\x1f", "\x7f", "\u2028"),
  );
  const property = fc.property(text, fc.nat(), (t, i) => {
    const data = JSON.stringify({ t, i });
    assert.equal(tokenText(i, t, "01234567"), frameText("token", data, `${i}-01234567`));
    const batch = [
      { t, i },
      { t, i: i + 1 },
    ];
    const whole = JSON.stringify({ t, i, batch });
    assert.equal(batchText(batch, "01234567"), frameText("token", whole, `${i + 1}-01234567`));
  });
  fc.assert(property, { numRuns: 500 });
});

test("what is not verbose is the frame without human text and preparation", () => {
  assert.deepEqual(plainMetrics({ ...metricsFrame, human: "x", prep: {} }), metricsFrame);
});
