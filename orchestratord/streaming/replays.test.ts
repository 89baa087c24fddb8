import assert from "node:assert/strict";
import { test } from "node:test";
import type { Transcript } from "@llama-orch/contract";
import { endFrame, type Stage, staged, startedFrame, TestSink } from "./fixtures/stage.ts";
import { Replays } from "./replays.ts";
import { streamAgain } from "./transcript.ts";

const id = (n: number): string => `sha256:${String(n).padStart(64, "0")}`;

function aTranscript(tokens: number): Transcript {
  const event = (type: string, data: object) => ({ type, data, ts_ms: 0 });
  return {
    kind: "trace",
    events: [
      event("started", startedFrame),
      ...Array.from({ length: tokens }, (_, i) => event("token", { t: `${i} `, i })),
      event("end", endFrame),
    ],
    tags: [],
    metadata: { job_id: "job", request: { session_id: "session" } },
  } as unknown as Transcript;
}

function replaysOf({ clock, segments, pulse }: Stage, tokens = 3) {
  const loaded: string[] = [];
  let transcript: Transcript | undefined = aTranscript(tokens);
  const settings = {
    ringBytes: 65_536,
    heartbeatMs: 1000,
    readerStallMs: 1000,
    microbatch: false,
    microbatchTokens: 1,
  };
  const replays = new Replays({
    clock,
    load: async (tenantId, transcriptId) => {
      loaded.push(`${tenantId} ${transcriptId}`);
      return transcript;
    },
    make: (each, transcriptId, onReaders) =>
      streamAgain({ transcript: each, transcriptId, settings, segments, clock, pulse, onReaders }),
  });
  const lose = () => {
    transcript = undefined;
  };
  return { replays, loaded, lose };
}

test(
  "a crowd that follows one finished stream shares it, and it is forgotten a while after the last has it",
  staged(async (stage) => {
    const { replays, loaded } = replaysOf(stage);
    const all = await Promise.all(Array.from({ length: 10 }, () => replays.of("default", id(1))));
    assert.equal(loaded.length, 1);
    assert.equal(new Set(all.map((replay) => replay?.stream)).size, 1);
    assert.equal(all[0]?.sessionId, "session");
    const slow = new TestSink(1);
    const reader = all[0]?.stream.follow(undefined, slow, { verbose: false });
    stage.clock.advance(900);
    stage.clock.advance(10_000);
    assert.equal(replays.count, slow.state === "open" ? 1 : 0);
    reader?.close();
    stage.clock.advance(60_000);
    assert.equal(replays.count, 0);
    await replays.of("default", id(1));
    assert.equal(loaded.length, 2);
    replays.close();
  }),
);

test(
  "a stream that nobody follows in the end is forgotten, and only a few of them wait for that",
  staged(async (stage) => {
    const { replays } = replaysOf(stage);
    for (let n = 0; n < 30; n++) await replays.of("default", id(n));
    assert.equal(replays.count, 8);
    stage.clock.advance(60_000);
    assert.equal(replays.count, 0);
  }),
);

test(
  "equal transcripts of two tenants are two streams, and one that is not there is asked for again",
  staged(async (stage) => {
    const { replays, loaded, lose } = replaysOf(stage);
    const [mine, theirs] = [await replays.of("a", id(1)), await replays.of("b", id(1))];
    assert.notEqual(mine?.stream, theirs?.stream);
    lose();
    assert.equal(await replays.of("a", id(2)), undefined);
    assert.equal(await replays.of("a", id(2)), undefined);
    assert.equal(loaded.length, 4);
    replays.close();
  }),
);

test(
  "a long stream is made in pieces, so that others have their turn",
  staged(async (stage) => {
    const { replays } = replaysOf(stage, 5000);
    let turns = 0;
    const others = setImmediate(function again() {
      turns++;
      if (turns < 1000) setImmediate(again);
    });
    const replay = await replays.of("default", id(1));
    assert.ok(turns >= 9, `${turns} turns`);
    turns = 1000;
    clearImmediate(others);
    const sink = new TestSink();
    replay?.stream.follow({ index: 4998 }, sink, { verbose: false });
    assert.match(sink.text, /^id: 4999-.*"4999 "/s);
    assert.equal(sink.state, "ended");
    replays.close();
  }),
);
