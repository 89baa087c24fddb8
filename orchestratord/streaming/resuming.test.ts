import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFrameId, type StreamPosition } from "@llama-orch/contract";
import fc from "fast-check";
import {
  endFrame,
  errorFrame,
  metricsFrame,
  type Stage,
  staged,
  startedFrame,
  TestSink,
  texts,
  tokensIn,
  withoutComments,
} from "./fixtures/stage.ts";
import { readFrames } from "./frame-text.ts";
import type { Reader, Sink, TaskStream } from "./task-stream.ts";

const plain = { verbose: false };

const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant("tokens" as const),
        texts: fc.array(fc.string({ unit: "binary", minLength: 1, maxLength: 12 }), {
          minLength: 1,
          maxLength: 5,
        }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("metrics" as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant("join" as const), room: fc.integer({ min: 1, max: 900 }) }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("drain" as const), who: fc.nat() }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant("cut" as const), who: fc.nat(), lost: fc.nat({ max: 400 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 20_000 }) }),
    },
  ),
  { minLength: 1, maxLength: 80, size: "max" },
);

/** A client like an EventSource: it keeps whole frames and comes back with the id of the last one it has. */
class Client {
  kept = "";
  readonly #stream: TaskStream;
  readonly #room: number;
  #sink = new TestSink(1);
  #reader: Reader | undefined;

  constructor(stream: TaskStream, room: number) {
    this.#stream = stream;
    this.#room = room;
    this.#connect(undefined);
  }

  drain(): void {
    if (this.#sink.state === "destroyed") this.cut(0);
    this.#sink.drain();
  }

  /** The last bytes on the wire are lost, a frame in the middle perhaps. */
  cut(lost: number): void {
    this.#reader?.close();
    this.#take(this.#sink.text.slice(0, Math.max(0, this.#sink.text.length - lost)));
    const id = [...this.kept.matchAll(/^id: (.*)$/gm)].at(-1)?.[1];
    // `started` has no id: a client that has nothing else gets it again.
    if (id === undefined) this.kept = "";
    if (id !== "end") this.#connect(id === undefined ? undefined : (parseFrameId(id) as StreamPosition));
  }

  finish(): string {
    while (this.#sink.state === "open") this.#sink.drain();
    if (this.#sink.state === "destroyed") {
      this.cut(0);
      return this.finish();
    }
    this.#take(this.#sink.text);
    return this.kept;
  }

  #connect(position: StreamPosition | undefined): void {
    this.#sink = new TestSink(this.#room);
    this.#reader = this.#stream.follow(position, this.#sink, plain);
  }

  /** Whole frames with an id count; what follows the last one comes again. */
  #take(text: string): void {
    const frames = text.split(/(?<=\n\n)/).filter((frame) => frame.endsWith("\n\n"));
    this.kept += withoutComments(frames.join(""));
    this.#sink.text = "";
  }
}

/** Metrics may be dropped by the slow and seen twice by those who come back. */
const lasting = (text: string): string =>
  text
    .split(/(?<=\n\n)/)
    .filter((frame) => !frame.startsWith("event: metrics") && !frame.startsWith(":"))
    .join("");

function play(
  { clock, open, segments }: Stage,
  ringBytes: number,
  list: typeof steps extends fc.Arbitrary<infer S> ? S : never,
): void {
  const stream = open({ ringBytes });
  const whole = new TestSink();
  stream.follow(undefined, whole, plain);
  stream.started(startedFrame);
  const clients: Client[] = [];
  for (const step of list) {
    const client = clients[("who" in step ? step.who : 0) % Math.max(1, clients.length)];
    if (step.do === "tokens") stream.tokens(texts(...step.texts));
    else if (step.do === "metrics") stream.metrics(metricsFrame, metricsFrame);
    else if (step.do === "join") clients.push(new Client(stream, step.room));
    else if (step.do === "drain") client?.drain();
    else if (step.do === "cut") client?.cut(step.lost);
    else clock.advance(step.ms);
  }
  stream.end(endFrame);
  const expected = lasting(whole.text);
  const sent = list.flatMap((step) => (step.do === "tokens" ? step.texts : [])).join("");
  assert.equal(tokensIn(whole.text), sent.toWellFormed());
  for (const client of clients) assert.equal(lasting(client.finish()), expected);
  assert.equal(stream.readers, 0);
  const before = segments.liveBytes;
  const spilled = stream.length > ringBytes;
  stream.release();
  assert.ok(!spilled || segments.liveBytes < before);
}

test(
  "any readers, cut and resumed anywhere, however slow, end with the same bytes",
  staged((stage) => {
    fc.assert(
      fc.property(fc.constantFrom(300, 2000, 65_536), steps, (ringBytes, list) =>
        play(stage, ringBytes, list),
      ),
      { numRuns: 300 },
    );
  }),
);

test(
  "a reader may start at any index of a live stream, in memory or spilled",
  staged(({ open, segments }) => {
    const stream = open({ ringBytes: 2000 });
    const whole = new TestSink();
    stream.follow(undefined, whole, plain);
    stream.started(startedFrame);
    for (let n = 0; n < 300; n++) {
      stream.tokens(texts(`${n} `, "é"));
      if (n % 50 === 0) stream.metrics(metricsFrame, metricsFrame);
    }
    assert.ok(segments.liveBytes > 0);
    for (const { index, digest, end } of readFrames(whole.text)) {
      if (index === undefined) continue;
      const sink = new TestSink();
      stream.follow({ index, digest: digest as string }, sink, plain).close();
      assert.equal(sink.text, whole.text.slice(end));
    }
  }),
);

test(
  "a batch is one write, memory is bounded by the ring, and who does not drain is dropped and resumes [SSE-1001]",
  staged(({ open, segments, clock }) => {
    const stream = open();
    const stuck = new TestSink(2000);
    stream.follow(undefined, stuck, plain);
    const quick = new TestSink();
    let writes = 0;
    stream.follow(undefined, { ...sinkOf(quick), write: (text) => quick.write(text) && ++writes > 0 }, plain);
    stream.started(startedFrame);
    const batch = texts("to", "ken");
    let most = 0;
    for (let n = 0; n < 50_000; n++) {
      stream.tokens(batch);
      most = Math.max(most, stream.bytesInMemory);
    }
    assert.equal(writes, 50_001);
    assert.ok(most <= 65_536 + 400, `${most} bytes were in memory at once.`);
    assert.ok(stuck.text.length < 2200);
    clock.advance(30_250);
    assert.equal(stuck.state, "destroyed");
    stream.error(errorFrame);
    const { index = -1, digest = "", end } = [...readFrames(stuck.text)].at(-1) ?? {};
    const back = new TestSink(2000);
    stream.follow({ index, digest }, back, plain);
    while (back.state === "open") back.drain();
    assert.ok(stuck.text.slice(0, end) + back.text === quick.frames);
    assert.equal(tokensIn(quick.text), "token".repeat(50_000));
    stream.release();
    assert.equal(segments.liveBytes, 0);
  }),
);

function sinkOf(sink: TestSink): Sink {
  return {
    write: (text) => sink.write(text),
    onDrain: (drained) => sink.onDrain(drained),
    end: () => sink.end(),
    destroy: () => sink.destroy(),
  };
}
