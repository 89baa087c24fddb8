import assert from "node:assert/strict";
import { test } from "node:test";
import { lostAfter, run, typesOf } from "./fixtures/attempt.ts";
import { staged, tokensIn } from "./fixtures/stage.ts";
import type { AttemptReport } from "./relay.ts";

test(
  "an engine that is deaf to a closed connection is given up, and what it says later reaches nobody",
  staged(async (stage) => {
    const { engine, sink, reports, abort, ended } = run(stage);
    await engine.says("a");
    engine.isDeaf = true;
    abort();
    await engine.says("b");
    assert.ok(!typesOf(reports).includes("AttemptEnded"));
    stage.clock.advance(1500);
    assert.deepEqual((await ended()).ending, { kind: "aborted" });
    await engine.says("c");
    assert.equal(tokensIn(sink.text), "a");
    assert.equal(engine.isClosed, true);
  }),
);

test(
  "a stream that has filled its memory, since the disk refuses, ends its task and says why",
  staged(async (stage) => {
    const { segments } = stage;
    segments.append = () => undefined;
    const { engine, stream, ended } = run(stage, { stream: stage.open({ ringBytes: 200 }) });
    await engine.says("a");
    await engine.says("b".repeat(20_000));
    assert.equal(stream.isOverfull, false);
    await engine.says("c".repeat(40_000));
    const { ending } = await ended();
    assert.partialDeepStrictEqual(ending, { kind: "refused", code: "INTERNAL" });
    assert.match("message" in ending ? ending.message : "", /^The disk is full .* Make room, then /);
    assert.equal(engine.isClosed, true);
  }),
);

test(
  "a silent engine is noticed once, before its first token and between two, skipped ones included",
  staged(async (stage) => {
    const stalled = (reports: readonly AttemptReport[]) =>
      typesOf(reports).filter((type) => type === "AttemptStalled");
    const first = run(stage);
    stage.clock.advance(29_999);
    assert.equal(stalled(first.reports).length, 0);
    stage.clock.advance(1);
    assert.equal(stalled(first.reports).length, 1);
    first.abort();
    assert.deepEqual((await first.ended()).ending, { kind: "aborted" });

    const stream = lostAfter(stage, { t: "a" }, { t: "b" }, { t: "c" });
    const second = run(stage, { stream, resume: "replayed" });
    for (const text of ["a", "b", "c"]) {
      await second.engine.says(text);
      stage.clock.advance(4999);
    }
    assert.equal(stalled(second.reports).length, 0);
    stage.clock.advance(1);
    stage.clock.advance(60_000);
    assert.equal(stalled(second.reports).length, 1);
    second.abort();
    await second.ended();
  }),
);

test(
  "an engine that has answered is not blamed for the time that the disk takes, and is watched again afterwards",
  staged(async (stage) => {
    const writing = Promise.withResolvers<boolean>();
    const { engine, sink, reports, abort, ended } = run(stage, {
      written: writing.promise,
      limits: { wallMs: 40_000 },
    });
    const isStalled = () => typesOf(reports).includes("AttemptStalled");
    stage.clock.advance(20_000);
    const said = engine.says("a");
    await new Promise((resolve) => setImmediate(resolve));
    stage.clock.advance(300_000);
    assert.equal(isStalled(), false);
    writing.resolve(true);
    await said;
    await engine.says("b");
    assert.equal(tokensIn(sink.text), "ab");
    stage.clock.advance(4999);
    assert.equal(isStalled(), false);
    stage.clock.advance(1);
    assert.equal(isStalled(), true);
    abort();
    await ended();
  }),
);

test(
  "an attempt that takes longer than it may is noticed however busy it is",
  staged(async (stage) => {
    const { engine, reports, abort, ended } = run(stage, { limits: { wallMs: 10_000 } });
    for (let n = 0; n < 9; n++) {
      stage.clock.advance(1000);
      await engine.says("x");
    }
    assert.ok(!typesOf(reports).includes("AttemptStalled"));
    stage.clock.advance(1000);
    assert.ok(typesOf(reports).includes("AttemptStalled"));
    abort();
    await ended();
  }),
);

test(
  "a used-up budget of time ends the attempt as done, and no more than it is charged",
  staged(async (stage) => {
    const { engine, reports, ended } = run(stage, { limits: { budgetMs: 2500 } });
    stage.clock.advance(7000);
    for (let n = 0; n < 3; n++) {
      await engine.says("x");
      stage.clock.advance(1000);
    }
    const { ending, decodeMs, tokensOut } = await ended();
    assert.deepEqual([ending.kind, decodeMs, tokensOut], ["done", 2500, 3]);
    assert.ok(!typesOf(reports).includes("AttemptStalled"));
    assert.equal(engine.isClosed, true);
  }),
);

test(
  "an engine that has said its last word is done, and is not waited for",
  staged(async (stage) => {
    const { engine, reports, abort, ended } = run(stage);
    await engine.says("a");
    await engine.concludes();
    abort();
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(!typesOf(reports).includes("AttemptEnded"));
    stage.clock.advance(1500);
    assert.deepEqual((await ended()).ending, { kind: "done" });
    assert.equal(engine.isClosed, true);
  }),
);
