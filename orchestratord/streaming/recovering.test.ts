// Streams that another process goes on with: killed in earnest, and cut anywhere as a power cut does it.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { StreamDigest, samplerProfiles } from "@llama-orch/contract";
import fc from "fast-check";
import { run } from "./fixtures/attempt.ts";
import {
  endFrame,
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
import { continuable } from "./relay.ts";
import { scan } from "./segment-record.ts";
import type { TaskStream } from "./task-stream.ts";

const child = join(import.meta.dirname, "fixtures/logging-child.ts");

/** What a child offered to the readers of each of its streams until it was killed. */
async function killedAfter(bytes: number, folder: string): Promise<Map<string, string>> {
  const program: ChildProcess = spawn(process.execPath, [child, folder], { stdio: ["ignore", "pipe", 2] });
  let told = "";
  program.stdout?.on("data", (chunk: Buffer) => {
    told += chunk.toString("latin1");
    if (told.length >= bytes) program.kill("SIGKILL");
  });
  await once(program, "close");
  const offered = new Map<string, string>();
  for (const line of Buffer.from(told, "latin1").toString().split("\n").slice(0, -1)) {
    const at = line.indexOf(" ");
    const label = `job-${line.slice(0, at)}`;
    offered.set(label, (offered.get(label) ?? "") + JSON.parse(line.slice(at + 1)));
  }
  return offered;
}

test(
  "after kill -9 every frame that was offered to a reader is there, byte for byte",
  staged(async ({ killed }) => {
    for (const bytes of [3000, 60_000, 400_000]) {
      const died = killed();
      const offered = await killedAfter(bytes, died.folder);
      const { recover, segments } = died.killed();
      assert.deepEqual([...segments.labels()].sort(), [...offered.keys()].sort());
      for (const [id, text] of offered) {
        const stream = recover({ microbatch: true }, id);
        const all = followed(stream).text;
        assert.ok(all.startsWith(text), `${id} lost frames of ${text.length} characters.`);
        assert.equal(stream.frames, stream.tokensOut);
        assert.equal(stream.digest, digestOf(all));
        assert.ok(stream.hasExactIds && stream.isStarted);
      }
    }
  }),
);

function digestOf(text: string): string {
  const digest = new StreamDigest();
  for (const [index, t] of piecesIn(text).entries()) digest.add(index, t);
  return digest.hex();
}

/** By line feeds alone: a token may hold what a regular expression takes for the end of a line. */
function piecesIn(text: string): string[] {
  const tokens = text.split("\n").filter((line) => line.startsWith('data: {"t":'));
  return tokens.flatMap((line) => {
    const { t, batch = [{ t }] } = JSON.parse(line.slice("data: ".length)) as Token;
    return batch.map((piece) => piece.t);
  });
}

interface Token {
  readonly t: string;
  readonly batch?: readonly { readonly t: string }[];
}

test(
  "a recovered stream is the same one: ids, digest, tokens, times, metrics, and every place of it",
  staged((before) => {
    for (const ringBytes of [500, 5000, 65_536]) {
      const id = `job-${ringBytes}`;
      const old = before.open({ ringBytes }, id);
      old.logFrames();
      write(old, before, 60);
      const { recover } = before.killed();
      const stream = recover({ ringBytes }, id);
      for (const fact of ["frames", "tokensOut", "digest", "isStarted", "hasExactIds", "length"] as const) {
        assert.equal(stream[fact], old[fact], fact);
      }
      assert.deepEqual(stream.idsDelivered(), old.idsDelivered());
      assert.equal(stream.tail(100), old.tail(100));
      assert.deepEqual(timesOf(stream), timesOf(old));
      assert.equal(verboseOf(stream), verboseOf(old));
      const whole = followed(old).text;
      for (let index = 0; index < old.frames; index++) {
        const position = positionIn(whole, index);
        assert.equal(followed(stream, position).text, followed(old, position).text);
      }
      assert.equal(followed(stream, { index: -1 }).text, followed(old, { index: -1 }).text);
      assert.throws(() => followed(stream, { index: 3, digest: "00000000" }), /Last-Event-ID/);
      for (const each of [old, stream]) {
        write(each, before, 30, false);
        each.end(endFrame);
      }
      assert.equal(verboseOf(stream), verboseOf(old));
    }
  }),
);

function write(stream: TaskStream, { clock }: Stage, batches: number, begins = true): void {
  if (begins) stream.started(startedFrame);
  for (let n = 0; n < batches; n++) {
    clock.advance(100);
    stream.tokens([
      { t: `${n} `, ids: [n] },
      { t: "é", ids: [n, n + 1000] },
    ]);
    if (n % 10 === 0) stream.metrics(metricsFrame, { ...metricsFrame, human: `Number ${n}.` });
  }
}

const timesOf = (stream: TaskStream) => [...stream.entries()].map(({ atMs, count }) => [atMs, count]);

function verboseOf(stream: TaskStream): string {
  const sink = new TestSink();
  stream.follow(undefined, sink, { verbose: true });
  return sink.frames.replaceAll(/^id: end\n/gm, "");
}

test(
  "a slow reader of a recovered stream still gets the newest metrics",
  staged((before) => {
    const old = before.open({ ringBytes: 500 });
    old.logFrames();
    write(old, before, 41);
    for (let n = 0; n < 9; n++) old.tokens(texts("x"));
    const stream = before.killed().recover({ ringBytes: 500 });
    const slow = followed(stream, undefined, 1);
    for (let n = 0; n < 500 && slow.isFull; n++) slow.drain();
    assert.deepEqual(
      eventsIn(slow.text).filter((event) => event === "metrics"),
      ["metrics"],
    );
  }),
);

test(
  "of a stream that nobody logged, or that was released, another process finds nothing",
  staged((before) => {
    const strict = before.open({ ringBytes: 500 }, "strict");
    write(strict, before, 60);
    const over = before.open({ ringBytes: 500 }, "over");
    over.logFrames();
    write(over, before, 60);
    over.end(endFrame);
    over.release();
    assert.ok(before.segments.liveBytes > 0);
    strict.release();
    assert.equal(before.segments.liveBytes, 0);
    const next = before.killed();
    const stream = next.recover({}, "strict");
    assert.deepEqual([stream.frames, stream.isStarted, stream.tokensOut], [0, false, 0]);
    next.segments.forgetUnclaimed();
    assert.equal(next.segments.liveBytes, 0);
    write(stream, next, 3);
    const { recover } = next.killed();
    assert.equal(recover({}, "strict").frames, 6);
  }),
);

test(
  "a stream that was over but not released is found without its last frame, however large that was",
  staged((before) => {
    const result = { embeddings: [Array.from({ length: 2000 }, (_, n) => n)] };
    for (const count of [1, 20]) {
      const stage = before.killed();
      const old = stage.open({ ringBytes: 5000 });
      old.logFrames();
      write(old, stage, count);
      const { text } = followed(old);
      old.end({ ...endFrame, result });
      assert.equal(followed(stage.killed().recover()).text, text);
      stage.segments.close();
      assert.equal(followed(stage.killed().recover()).text, text);
    }
  }),
);

test(
  "logging may begin after the first frame and not after a token",
  staged((before) => {
    const stream = before.open();
    stream.started(startedFrame);
    stream.logFrames();
    stream.logFrames();
    stream.tokens(texts("a", "b"));
    assert.equal(followed(before.killed().recover()).text, followed(stream).text);
    const other = before.open({}, "other");
    other.started(startedFrame);
    other.tokens(texts("a"));
    assert.throws(() => other.logFrames(), /frames that are not logged/);
  }),
);

test(
  "an attempt continues a recovered stream from all that readers have, and knows what stands before a stop",
  staged(async (before) => {
    const old = before.open({ ringBytes: 500 });
    old.logFrames();
    old.started(startedFrame);
    for (let n = 0; n < 30; n++) old.tokens([{ t: `${n} `, ids: [n] }], 2 * (n + 1));
    old.tokens([{ t: "\nUs", ids: [30] }], 62);
    const stage = before.killed();
    const stream = stage.recover({ ringBytes: 500 });
    const greedy = samplerProfiles.greedy;
    assert.equal(continuable(stream, greedy), true);
    assert.equal(continuable(stream, { ...greedy, stop: ["\nUser:"] }), false);
    assert.equal(continuable(stream, { ...greedy, stop: ["29 \nUse"] }), false);
    assert.equal(continuable(stream, { ...greedy, json_schema: {} }), false);
    assert.equal(stream.idsDelivered()?.length, 31);
    const { engine, sink, counted, ended } = run(stage, { stream, resume: "continued" });
    await engine.says({ t: "e", ids: [31] });
    await engine.ends();
    const { ending, frames, tokensOut, continuable: again } = await ended();
    assert.deepEqual([ending.kind, frames, tokensOut, again], ["done", 32, 64, true]);
    assert.deepEqual(counted, [1, 1]);
    assert.ok(tokensIn(sink.text).endsWith("29 \nUse"));
  }),
);

test(
  "the disk that logged streams take is bounded by what lives, however much they have said",
  staged(({ open, segments }) => {
    const stream = open();
    stream.logFrames();
    stream.started(startedFrame);
    for (let n = 0; n < 10_000; n++) stream.tokens(texts(`${n} `));
    assert.ok(segments.liveBytes < 1.7 * stream.length, `${segments.liveBytes} for ${stream.length}`);
    assert.ok(segments.diskBytes <= 4 * segments.liveBytes + 3 * 65_536);
    stream.end(endFrame);
    stream.release();
    assert.equal(segments.liveBytes, 0);
    assert.ok(segments.diskBytes <= 65_536);
  }),
);

const batches = fc.array(
  fc.array(fc.string({ unit: "binary", minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 4 }),
  { minLength: 1, maxLength: 60, size: "max" },
);

/** As a power cut does it: the newest file ends earlier. */
function cut(folder: string, share: number): void {
  const files = readdirSync(folder).sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
  const newest = files.at(-1);
  if (newest === undefined) return;
  const path = join(folder, newest);
  truncateSync(path, Math.floor(share * readFileSync(path).length));
}

/** The places up to which records of a stream are there without a gap, whatever they say. */
function coveredTo(folder: string, id: string): number {
  const stretches: { at: number; end: number }[] = [];
  for (const name of readdirSync(folder)) {
    scan(readFileSync(join(folder, name)), ({ stretch }) => {
      if (stretch.label === id) stretches.push(stretch);
    });
  }
  let to = 0;
  for (const { at, end } of stretches.sort((a, b) => a.at - b.at)) if (at <= to) to = Math.max(to, end);
  return to;
}

test(
  "wherever the log ends after a power cut, all before it is found, in whole entries",
  staged((stage) => {
    const replay = (list: string[][], rings: number[], share: number) => {
      const before = stage.killed();
      const streams = rings.map((ringBytes, n) => {
        const stream = before.open({ ringBytes, microbatch: n === 0 }, `job-${n}`);
        stream.logFrames();
        stream.started(startedFrame);
        return stream;
      });
      for (const [n, batch] of list.entries()) {
        for (const stream of streams) stream.tokens(texts(...batch));
        if (n % 9 === 5) streams[0]?.metrics(metricsFrame, metricsFrame);
        // Others come and go, so that records move.
        const other = before.open({ ringBytes: 300 }, `other-${n}`);
        other.logFrames();
        other.started(startedFrame);
        for (let m = 0; m < 30; m++) other.tokens(texts("x".repeat(90)));
        other.release();
      }
      const after = before.killed((folder) => cut(folder, share));
      for (const [n, stream] of streams.entries()) {
        const id = `job-${n}`;
        const covered = coveredTo(after.folder, id);
        const recovered = after.recover({ ringBytes: rings[n] as number, microbatch: n === 0 }, id);
        const text = followed(recovered).text;
        assert.equal(recovered.length, covered);
        assert.equal(text, followed(stream).text.slice(0, covered));
        assert.ok(ends(stream).has(covered));
        assert.equal(recovered.digest, digestOf(text));
        if (share === 1) assert.equal(covered, stream.length);
        stream.release();
        recovered.release();
      }
    };
    const share = fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true }));
    const rings = fc.array(fc.constantFrom(300, 1000, 5000, 65_536), { minLength: 1, maxLength: 3 });
    fc.assert(fc.property(batches, rings, share, replay), { numRuns: 40 });
  }),
);

function ends(stream: TaskStream): Set<number> {
  let at = 0;
  return new Set([0, ...[...stream.entries()].map(({ text }) => (at += text.length))]);
}

test(
  "through power cut after power cut, nobody gets another token for one that its digest proves",
  staged((stage) => {
    const life = fc.record({ list: batches, share: fc.double({ min: 0, max: 1, noNaN: true }) });
    const live = (lives: { list: string[][]; share: number }[]) => {
      let now = stage.killed();
      const old: string[] = [];
      for (const [n, { list, share }] of lives.entries()) {
        const stream = now.recover({ ringBytes: 2000 });
        if (!stream.isStarted) stream.started(startedFrame);
        const text = followed(stream).text;
        assert.equal(stream.digest, digestOf(text));
        assert.ok(n === 0 || old.some((one) => one.startsWith(text)) || eventsIn(text).length === 1);
        // A disk that refuses for a while leaves a gap, and after it the same places with another text.
        const append = now.segments.append.bind(now.segments);
        for (const [m, batch] of list.entries()) {
          now.segments.append = m % 7 === 6 ? () => undefined : append;
          stream.tokens(texts(...batch.map((one) => (m % 2 === 0 ? `${n}${one}`.slice(0, 3) : one))));
        }
        now.segments.append = append;
        old.push(followed(stream).text);
        now = now.killed((folder) => cut(folder, share));
      }
    };
    fc.assert(fc.property(fc.array(life, { minLength: 2, maxLength: 5 }), live), { numRuns: 25 });
  }),
);

test(
  "what a disk refused for a while is in the log soon after",
  staged((before) => {
    for (const [ringBytes, refused] of [
      [65_536, 20],
      [1000, 20],
      [1000, 500],
    ] as const) {
      const id = `job-${ringBytes}-${refused}`;
      const stream = before.open({ ringBytes }, id);
      stream.logFrames();
      stream.started(startedFrame);
      const append = before.segments.append.bind(before.segments);
      let asked = 0;
      before.segments.append = () => {
        asked++;
        return undefined;
      };
      for (let n = 0; n < refused; n++) stream.tokens(texts(`${n} `));
      assert.ok(asked <= 2 + refused / 2, `${asked} times`);
      before.segments.append = append;
      stream.tokens(texts("later "));
      before.clock.advance(250);
      stream.tokens(texts("now"));
      const recovered = before.killed().recover({ ringBytes }, id);
      assert.equal(followed(recovered).text, followed(stream).text);
      assert.equal(tokensIn(followed(recovered).text).split(" ").length, refused + 2);
      stream.end(endFrame);
      stream.release();
    }
    assert.equal(before.segments.liveBytes, 0);
  }),
);
