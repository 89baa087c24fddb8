import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { samplerProfiles } from "@llama-orch/contract";
import { EngineError, type EngineLoss } from "@llama-orch/engines/adapter";
import { limits, lostAfter, request, run, typesOf } from "./fixtures/attempt.ts";
import { attemptEnd, ScriptedEngine } from "./fixtures/scripted-engine.ts";
import { eventsIn, jobId, metricsFrame, staged, tokensIn } from "./fixtures/stage.ts";
import { type AttemptReport, relay } from "./relay.ts";

test(
  "an attempt that ends by its engine is done, with what was made and measured",
  staged(async (stage) => {
    const { engine, stream, sink, reports, counted, ended } = run(stage);
    await engine.says({ t: "a", ids: [1] }, { t: "b", ids: [2, 3] });
    await engine.thinks(2);
    await engine.says({ t: "c", ids: [4, 5, 6] });
    await engine.ends();
    const { type: _type, seq: _seq, nowMs: _nowMs, ...facts } = await ended();
    assert.deepEqual(typesOf(reports), ["AttemptStarted", "FirstToken", "AttemptEnded"]);
    assert.deepEqual(facts, {
      jobId,
      attempt: 1,
      ending: { kind: "done" },
      frames: 3,
      continuable: true,
      tokensOut: 6,
      attemptTokens: 6,
      promptTokens: 9,
      prefillMs: 12,
      decodeMs: 31,
    });
    assert.deepEqual(counted, [2, 3, 1]);
    assert.equal(tokensIn(sink.text), "abc");
    assert.deepEqual(stream.idsDelivered(), [1, 2, 3, 4, 5, 6]);
    assert.equal(engine.isClosed, true);
  }),
);

test(
  "the first token is in the stream before it is reported, so that metrics follow it",
  staged(async (stage) => {
    const { engine, stream, sink, reports, ended } = run(stage);
    const push = reports.push.bind(reports);
    reports.push = (report: AttemptReport) => {
      if (report.type === "FirstToken") stream.metrics(metricsFrame, metricsFrame);
      return push(report);
    };
    await engine.says("a");
    await engine.ends();
    await ended();
    assert.deepEqual(eventsIn(sink.text), ["started", "token", "metrics"]);
  }),
);

test(
  "nothing is delivered before it is written down where the attempt was sent, and then all of it",
  staged(async (stage) => {
    const writing = Promise.withResolvers<boolean>();
    const { engine, sink, reports, ended } = run(stage, { written: writing.promise });
    const said = engine.says("a");
    await turn();
    assert.equal(tokensIn(sink.text), "");
    assert.deepEqual(typesOf(reports), ["AttemptStarted"]);
    writing.resolve(true);
    await said;
    await engine.says("b");
    await engine.ends();
    await ended();
    assert.equal(tokensIn(sink.text), "ab");
  }),
);

test(
  "an attempt is lost, and shows nothing, where it cannot be written down where it was sent",
  staged(async (stage) => {
    const { engine, stream, sink, ended } = run(stage, { written: Promise.resolve(false) });
    await engine.says("a", "b");
    const { ending, frames } = await ended();
    assert.partialDeepStrictEqual(ending, { kind: "lost", reason: "restart" });
    assert.equal(engine.isClosed, true);
    assert.deepEqual([frames, stream.frames, eventsIn(sink.text)], [0, 0, ["started"]]);
  }),
);

test(
  "progress is reported at most once a second, with the running digest",
  staged(async (stage) => {
    const { engine, stream, reports, ended } = run(stage);
    for (let n = 0; n < 30; n++) {
      stage.clock.advance(100);
      await engine.says("x");
    }
    const progress = reports.filter(({ type }) => type === "AttemptProgressed");
    assert.equal(progress.length, 3);
    const { digest } = stream;
    assert.deepEqual(progress.at(-1), {
      type: "AttemptProgressed",
      jobId,
      attempt: 1,
      tokens: 30,
      frames: 30,
      digest,
    });
    await engine.ends();
    await ended();
  }),
);

test(
  "an aborted attempt closes its connection and delivers nothing more",
  staged(async (stage) => {
    const { engine, sink, abort, ended } = run(stage);
    await engine.says("a");
    abort();
    const { ending, tokensOut } = await ended();
    assert.deepEqual(ending, { kind: "aborted" });
    assert.equal(tokensOut, 1);
    assert.equal(engine.isClosed, true);
    assert.equal(tokensIn(sink.text), "a");
  }),
);

test(
  "tokens that come after the gate was closed are neither delivered nor counted",
  staged(async (stage) => {
    const { engine, stream, sink, counted, ended } = run(stage);
    await engine.says("a");
    stream.closeGate();
    await engine.says("b");
    await engine.ends();
    const { ending, frames, tokensOut, attemptTokens } = await ended();
    assert.deepEqual([ending.kind, frames, tokensOut, attemptTokens], ["done", 1, 1, 3]);
    assert.equal(tokensIn(sink.text), "a");
    assert.deepEqual(counted, [1]);
  }),
);

const losses: readonly EngineLoss[] = [
  "crash",
  "reset",
  "hung",
  "busy",
  "vram_oom",
  "host_oom",
  "driver_reset",
];

test(
  "what an engine fails with is what the attempt ends with",
  staged(async (stage) => {
    for (const reason of losses) {
      const { engine, ended } = run(stage);
      await engine.fails(new EngineError({ kind: "lost", reason }, "It is gone."));
      assert.deepEqual((await ended()).ending, { kind: "lost", reason, message: "It is gone." });
    }
    for (const code of ["INVALID_PARAMS", "INTERNAL"] as const) {
      const { engine, ended } = run(stage);
      await engine.fails(new EngineError({ kind: "refused", code }, "It said no."));
      assert.deepEqual((await ended()).ending, { kind: "refused", code, message: "It said no." });
    }
  }),
);

test(
  "an adapter that breaks its word loses the attempt, too",
  staged(async (stage) => {
    const first = run(stage);
    await first.engine.fails(new TypeError("x is undefined"));
    const { ending } = await first.ended();
    assert.deepEqual(ending, {
      kind: "lost",
      reason: "reset",
      message: "The adapter failed: TypeError: x is undefined",
    });
    const second = run(stage);
    await second.engine.says("a");
    await second.engine.closes();
    assert.equal((await second.ended()).ending.kind, "lost");
  }),
);

test(
  "a replay delivers only what is new, and its repeated tokens are free",
  staged(async (stage) => {
    const stream = lostAfter(stage, { t: "a" }, { t: "b" });
    const { engine, sink, reports, counted, ended } = run(stage, { stream, resume: "replayed" });
    await engine.says("a");
    await engine.says("b", "c");
    await engine.ends();
    const { ending, frames, tokensOut, attemptTokens } = await ended();
    assert.deepEqual([ending.kind, frames, tokensOut, attemptTokens], ["done", 3, 4, 4]);
    assert.deepEqual(typesOf(reports), ["AttemptStarted", "FirstToken", "AttemptEnded"]);
    assert.equal(tokensIn(sink.text), "abc");
    assert.deepEqual(counted, [1, 1]);
  }),
);

test(
  "a replay that says something else is a mismatch and delivers nothing of it",
  staged(async (stage) => {
    const stream = lostAfter(stage, { t: "a" }, { t: "b" });
    const { engine, sink, ended } = run(stage, { stream, resume: "replayed" });
    await engine.says("a", "x", "c");
    assert.deepEqual((await ended()).ending, { kind: "mismatch" });
    assert.equal(engine.isClosed, true);
    assert.equal(tokensIn(sink.text), "ab");
  }),
);

test(
  "a replay that ends before it has said everything again is a mismatch",
  staged(async (stage) => {
    const stream = lostAfter(stage, { t: "a" }, { t: "b" });
    const { engine, ended } = run(stage, { stream, resume: "replayed" });
    await engine.says("a");
    await engine.ends();
    assert.deepEqual((await ended()).ending, { kind: "mismatch" });
  }),
);

test(
  "a continuation goes on at the next index and counts on",
  staged(async (stage) => {
    const stream = lostAfter(stage, { t: "a", ids: [1] }, { t: "b", ids: [2] });
    const { engine, sink, counted, ended } = run(stage, { stream, resume: "continued" });
    await engine.says({ t: "c", ids: [3] });
    await engine.ends();
    const { frames, tokensOut, attemptTokens, continuable } = await ended();
    assert.deepEqual([frames, tokensOut, attemptTokens, continuable], [3, 4, 2, true]);
    assert.equal(tokensIn(sink.text), "abc");
    assert.deepEqual(counted, [1, 1]);
    assert.deepEqual(stream.idsDelivered(), [1, 2, 3]);
  }),
);

test(
  "what cannot be continued says so: no exact ids, a grammar, a stop string in the making",
  staged(async (stage) => {
    const sampling = { ...samplerProfiles.greedy, stop: ["\nUser:"] };
    const cases = [
      [{ t: "a", ids: [1] }, {}, true],
      [{ t: "a" }, {}, false],
      [{ t: "a", ids: [1] }, { sampling: { ...samplerProfiles.greedy, json_schema: {} } }, false],
      [{ t: "a", ids: [1] }, { sampling }, true],
      [{ t: "Hello\nUs", ids: [1] }, { sampling }, false],
    ] as const;
    for (const [frame, wanted, continuable] of cases) {
      const { engine, ended } = run(stage, { request: wanted });
      await engine.says(frame);
      await engine.fails(new EngineError({ kind: "lost", reason: "crash" }, "It is gone."));
      assert.equal((await ended()).continuable, continuable, JSON.stringify([frame, wanted]));
    }
  }),
);

test(
  "an embedding has a result and no token",
  staged(async (stage) => {
    const { engine, stream, reports, ended } = run(stage, { request: { workload: "embedding" } });
    await engine.ends({ ...attemptEnd, result: { embeddings: [[1, 2]] } }, 0);
    assert.equal((await ended()).tokensOut, 0);
    assert.deepEqual(stream.result, { embeddings: [[1, 2]] });
    assert.deepEqual(typesOf(reports), ["AttemptStarted", "AttemptEnded"]);
  }),
);

test(
  "an attempt that was aborted before it began asks no engine",
  staged(async (stage) => {
    const controller = new AbortController();
    controller.abort();
    const engine = new ScriptedEngine();
    const reports: AttemptReport[] = [];
    const stream = lostAfter(stage);
    const dispatch = { jobId, attempt: 2, resume: null, limits };
    const report = (one: AttemptReport) => reports.push(one);
    const { adapter } = engine;
    const o = {
      adapter,
      request,
      signal: controller.signal,
      stream,
      dispatch,
      written: Promise.resolve(true),
      onTokens: () => {},
      clock: stage.clock,
    };
    await relay({ ...o, report });
    assert.deepEqual(typesOf(reports), ["AttemptEnded"]);
    assert.equal(engine.requests.length, 0);
  }),
);
