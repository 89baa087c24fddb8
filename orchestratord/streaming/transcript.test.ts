import assert from "node:assert/strict";
import { test } from "node:test";
import {
  canonicalJson,
  parser,
  parseTaskRequest,
  resolveSampling,
  resolveTask,
  type TaskBody,
  Transcript,
} from "@llama-orch/contract";
import type { DispatchAttempt } from "@llama-orch/core";
import fc from "fast-check";
import {
  endFrame,
  errorFrame,
  jobId,
  metricsFrame,
  type Stage,
  staged,
  startedFrame,
  streamSettings,
  TestSink,
  texts,
} from "./fixtures/stage.ts";
import { readFrames } from "./frame-text.ts";
import type { TaskStream } from "./task-stream.ts";
import { streamAgain, type Told, transcriptOf } from "./transcript.ts";

const transcriptId = `sha256:${"0".repeat(64)}`;
const secret = "a very private question";
const body: TaskBody = { messages: [{ role: "user", content: secret }] };

const request = parseTaskRequest({
  task_id: "t-1",
  session_id: "s-1",
  workload: "completion",
  model_ref: "haiku",
  engine: "llamacpp",
  ctx: 0,
  priority: "interactive",
  max_tokens: 16,
  deadline_ms: 1000,
  sampling: { temperature: 0.5 },
  ...body,
});

function recordOf(stream: TaskStream, more: Partial<Told> = {}): Told {
  return {
    jobId,
    task: resolveTask(request, { defaultSeed: 5 }),
    samplerProfile: "default",
    sampling: resolveSampling({ temperature: 0.5 }),
    stream,
    placed: {
      poolId: "haiku",
      replicaId: "r0",
      engineVersion: "b1",
      modelDigest: undefined,
      dispatch: {} as DispatchAttempt,
    },
    endedAtMs: 900,
    outcome: { kind: "done", tokensOut: 3, decodeMs: 20 },
    ...more,
  };
}

const textOf = (...what: Parameters<typeof transcriptOf>): string =>
  [...transcriptOf(...what).pieces].join("");

const stored = (...what: Parameters<typeof transcriptOf>): Transcript =>
  parser(Transcript)(JSON.parse(textOf(...what)));

function lived({ open, clock }: Stage, settings = {}): TaskStream {
  const stream = open({ ringBytes: 500, ...settings });
  stream.started(startedFrame);
  clock.advance(100);
  for (let n = 0; n < 20; n++) stream.tokens(texts(`${n} `, "ü\n", "\u{1f319}"));
  clock.advance(100);
  stream.metrics(metricsFrame, { ...metricsFrame, human: "Running.", prep: { b: { status: "running" } } });
  stream.tokens(texts("!"));
  return stream;
}

test(
  "a transcript holds every frame with its time, who made it, and no text of the request",
  staged((stage) => {
    const stream = lived(stage);
    const transcript = stored(recordOf(stream), { ...endFrame, transcript: "x" }, body);
    const types = transcript.events.map(({ type }) => type);
    assert.deepEqual([...new Set(types)], ["started", "token", "metrics", "end"]);
    assert.equal(types.length, 1 + 61 + 1 + 1);
    assert.deepEqual(transcript.events[4], { type: "token", data: { t: "1 ", i: 3 }, ts_ms: 100 });
    assert.deepEqual(transcript.events.at(-1), { type: "end", data: endFrame, ts_ms: 900 });
    assert.deepEqual(transcript.tags, ["sse", "stream", "task:t-1", "session:s-1"]);
    assert.ok(!canonicalJson(transcript).includes(secret));
    const { request: kept, sampling, ...facts } = transcript.metadata;
    assert.deepEqual(facts, {
      job_id: jobId,
      engine: "llamacpp",
      engine_version: "b1",
      pool_id: "haiku",
      replica_id: "r0",
      sampler_profile_version: "default",
      model_ref: "haiku",
      seed: 5,
      tokens_out: 3,
      decode_time_ms: 20,
    });
    assert.equal(sampling.temperature, 0.5);
    assert.equal(sampling.top_k, 40);
    assert.deepEqual(
      kept.messages?.map(({ content }) => content.length),
      [secret.length],
    );
    assert.equal(kept.session_id, "s-1");
  }),
);

test(
  "a task that failed before it was placed leaves a transcript, too",
  staged(({ open }) => {
    const stream = open();
    stream.started({ ...startedFrame, pool_id: null, replica_id: null, engine_version: null });
    const outcome = {
      kind: "failed",
      code: "DEADLINE_UNMET",
      message: "x",
      details: {},
      tokensOut: 0,
      decodeMs: 0,
    } as const;
    const record = recordOf(stream, { placed: undefined, outcome });
    const transcript = stored(record, errorFrame, undefined);
    assert.equal(transcript.metadata.error, "DEADLINE_UNMET");
    assert.equal(transcript.metadata.pool_id, null);
    assert.equal(transcript.metadata.request.messages, undefined);
    assert.deepEqual(
      transcript.events.map(({ type }) => type),
      ["started", "error"],
    );
  }),
);

for (const microbatch of [false, true]) {
  test(
    `a finished stream is served again from its stored transcript with the same bytes, micro-batched: ${microbatch}`,
    staged(async (stage) => {
      const live = lived(stage, { microbatch });
      const transcript = stored(recordOf(live), endFrame, body);
      live.end({ ...endFrame, transcript: transcriptId });
      const { segments, clock, pulse } = stage;
      const again = await streamAgain({
        transcript,
        transcriptId,
        settings: streamSettings,
        segments,
        clock,
        pulse,
        onReaders: () => {},
      });
      for (const verbose of [false, true]) {
        for (const position of [undefined, { index: 0 }, { index: 7 }, { index: 60 }, { index: 99 }]) {
          const [then, now] = [live, again].map((stream) => {
            const sink = new TestSink();
            stream.follow(position, sink, { verbose });
            assert.equal(sink.state, "ended");
            return sink.text;
          });
          assert.ok((then ?? "").length > 0);
          assert.equal(now, then);
        }
      }
      const digest = "00000000";
      assert.throws(
        () => again.follow({ index: 3, digest }, new TestSink(), { verbose: false }),
        /Last-Event-ID/,
      );
    }),
  );
}

test(
  "a canceled stream that is served again shows started and end, as it did",
  staged(async (stage) => {
    const live = lived(stage);
    live.closeGate();
    const canceled = { ...endFrame, canceled: true };
    const transcript = stored(recordOf(live), canceled, body);
    live.end({ ...canceled, transcript: transcriptId });
    const { segments, clock, pulse } = stage;
    const again = await streamAgain({
      transcript,
      transcriptId,
      settings: streamSettings,
      segments,
      clock,
      pulse,
      onReaders: () => {},
    });
    const [then, now] = [live, again].map((stream) => {
      const sink = new TestSink();
      stream.follow(undefined, sink, { verbose: false });
      return sink.text;
    });
    assert.equal(now, then);
    assert.doesNotMatch(then as string, /event: token/);
  }),
);

const token = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom("\\", '"', '\\"', '","i":7}', "\ud800", "\u2028", "\n\n", "\u{1f319}", "]}"),
);
const came = fc.record({
  texts: fc.array(token, { maxLength: 6 }),
  human: fc.option(fc.string({ unit: "binary" }), { nil: undefined }),
});

test("a written transcript is the canonical JSON of its frames, whatever the tokens are", async () => {
  const property = fc.asyncProperty(
    fc.array(came),
    fc.boolean(),
    fc.boolean(),
    (batches, microbatch, hasFailed) =>
      staged((stage) => {
        const stream = stage.open({ ringBytes: 900, microbatch, microbatchTokens: 3 });
        stream.started(startedFrame);
        for (const { texts: some, human } of batches) {
          stage.clock.advance(1);
          stream.tokens(texts(...some));
          if (human !== undefined) stream.metrics(metricsFrame, { ...metricsFrame, human, prep: {} });
        }
        stream.closeGate();
        const terminal = hasFailed ? errorFrame : endFrame;
        const text = textOf(recordOf(stream), terminal, body);
        const document = JSON.parse(text);
        assert.equal(text, canonicalJson(document));
        assert.deepEqual(document.events, [
          ...[...stream.entries()].flatMap(({ text: plain, verbose, atMs }) =>
            [...readFrames(verbose ?? plain)].map(({ event, data }) => ({ type: event, data, ts_ms: atMs })),
          ),
          { type: hasFailed ? "error" : "end", data: terminal, ts_ms: 900 },
        ]);
      })(),
  );
  await fc.assert(property, { numRuns: 50 });
});

test(
  "the transcript of a long stream comes in pieces, between which others have their turn",
  staged(({ open }) => {
    const stream = open();
    stream.started(startedFrame);
    for (let n = 0; n < 10_000; n++) stream.tokens(texts(`${n} `, "words "));
    const pieces = [...transcriptOf(recordOf(stream), endFrame, body).pieces];
    assert.ok(pieces.length >= 10);
    assert.ok(pieces.every(({ length }) => length < 100_000));
    assert.equal(JSON.parse(pieces.join("")).events.length, 20_002);
  }),
);
