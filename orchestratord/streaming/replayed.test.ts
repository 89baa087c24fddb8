import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { metricsFrame, staged, startedFrame, TestSink, texts, tokensIn } from "./fixtures/stage.ts";
import type { TaskStream } from "./task-stream.ts";

function delivered(stream: TaskStream, ...list: string[]): TaskStream {
  stream.started(startedFrame);
  for (const text of list) {
    stream.tokens(texts(text));
    stream.metrics(metricsFrame, metricsFrame);
  }
  return stream;
}

test(
  "a replay of the same frames is skipped, and what goes beyond them is new",
  staged(({ open }) => {
    const replay = delivered(open(), "a", "b").replay();
    assert.deepEqual(replay.take(texts("a")), { verdict: "equal", fresh: [] });
    assert.equal(replay.isComplete, false);
    const c = { t: "c", ids: [3] };
    assert.deepEqual(replay.take([...texts("b"), c]), { verdict: "equal", fresh: [c] });
    assert.equal(replay.isComplete, true);
    assert.deepEqual(replay.take(texts("d")), { verdict: "equal", fresh: texts("d") });
  }),
);

test(
  "one other byte is a difference, also in the middle of a frame and after many equal ones",
  staged(({ open }) => {
    const list = Array.from({ length: 500 }, (_, n) => `${n} `);
    const replay = delivered(open({ ringBytes: 2000 }), ...list).replay();
    assert.equal(replay.take(texts(...list.slice(0, 499))).verdict, "equal");
    assert.equal(replay.take(texts("49x ")).verdict, "differs");
    assert.equal(delivered(open(), "abc").replay().take(texts("ab", "d")).verdict, "differs");
  }),
);

const pieces = fc.array(fc.string({ unit: "binary", minLength: 1, maxLength: 6 }), { maxLength: 40 });
const cuts = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 20 });

/** The same text in frames of other lengths, never through the middle of a character. */
function recut(text: string, lengths: readonly number[]): string[] {
  const characters = [...text];
  const frames: string[] = [];
  for (let n = 0; characters.length > 0; n++) {
    frames.push(characters.splice(0, lengths[n % lengths.length] as number).join(""));
  }
  return frames;
}

test(
  "however an engine cuts its text the second time, readers end with the bytes of one undisturbed run",
  staged(({ open }) => {
    fc.assert(
      fc.property(pieces, pieces, cuts, fc.constantFrom(300, 65_536), (before, after, lengths, ringBytes) => {
        const stream = delivered(open({ ringBytes }), ...before);
        const sink = new TestSink();
        stream.follow(undefined, sink, { verbose: false });
        const first = sink.frames;
        const replay = stream.replay();
        const text = [...before, ...after].map((piece) => piece.toWellFormed()).join("");
        for (const frame of recut(text, lengths)) {
          const compared = replay.take(texts(frame));
          assert.equal(compared.verdict, "equal");
          if (compared.verdict === "equal" && compared.fresh.length > 0) stream.tokens(compared.fresh);
        }
        assert.equal(replay.isComplete, true);
        assert.equal(tokensIn(sink.text), text);
        assert.ok(sink.frames.startsWith(first));
        stream.release();
      }),
      { numRuns: 200 },
    );
  }),
);
