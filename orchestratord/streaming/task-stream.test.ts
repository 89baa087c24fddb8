import assert from "node:assert/strict";
import { test } from "node:test";
import { StreamDigest } from "@llama-orch/contract";
import {
  endFrame,
  errorFrame,
  eventsIn,
  followed,
  metricsFrame,
  staged,
  startedFrame,
  TestSink,
  texts,
  tokensIn,
} from "./fixtures/stage.ts";

test(
  "frames come in the order started, token, metrics, end, one line of JSON each [OC-CTRL-2022, ORCH-3274]",
  staged(({ open }) => {
    const stream = open();
    const sink = followed(stream);
    stream.started(startedFrame);
    stream.tokens(texts("a\n", "b"));
    stream.metrics(metricsFrame, metricsFrame);
    stream.tokens(texts("c"));
    stream.end(endFrame);
    assert.deepEqual(eventsIn(sink.text), ["started", "token", "token", "metrics", "token", "end"]);
    assert.equal(tokensIn(sink.text), "a\nbc");
    assert.equal(sink.state, "ended");
    for (const block of sink.text.split("\n\n").slice(0, -1)) {
      const lines = block.split("\n").filter((line) => line.startsWith("data: "));
      assert.equal(lines.length, 1);
      assert.doesNotThrow(() => JSON.parse((lines[0] as string).slice(6)));
    }
  }),
);

test(
  "each token frame carries its index and the running digest after it",
  staged(({ open }) => {
    const stream = open();
    const sink = followed(stream);
    stream.started(startedFrame);
    stream.tokens(texts("Die ", "Möwe", "\u{1f319}", "\ud800"));
    const digest = new StreamDigest();
    const ids = ["Die ", "Möwe", "\u{1f319}", "\ufffd"].map((text, index) => {
      digest.add(index, text);
      return `${index}-${digest.short()}`;
    });
    assert.deepEqual(
      [...sink.text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id),
      ids,
    );
    assert.equal(tokensIn(sink.text), "Die Möwe\u{1f319}\ufffd");
    assert.equal(stream.digest, digest.hex());
  }),
);

test(
  "a batch is one write to each reader",
  staged(({ open }) => {
    const stream = open();
    const sink = followed(stream);
    const writes: string[] = [];
    const write = sink.write.bind(sink);
    sink.write = (text) => {
      writes.push(text);
      return write(text);
    };
    stream.started(startedFrame);
    stream.tokens(texts("a", "b", "c"));
    assert.equal(writes.length, 2);
  }),
);

test(
  "no token or metrics frame follows a closed gate, whatever was on its way [ORCH-3026, OC-CTRL-2012]",
  staged(({ open }) => {
    const stream = open();
    const slow = followed(stream, undefined, 1);
    stream.started(startedFrame);
    stream.tokens(texts("a", "b"));
    const quick = followed(stream);
    stream.closeGate();
    const before = quick.text;
    stream.tokens(texts("c"));
    stream.metrics(metricsFrame, metricsFrame);
    slow.drain();
    const late = followed(stream);
    assert.equal(quick.text, before);
    assert.deepEqual(
      [slow, late].map(({ text }) => eventsIn(text)),
      [["started"], ["started"]],
    );
    stream.end({ ...endFrame, canceled: true });
    const later = followed(stream);
    slow.drain();
    for (const sink of [slow, late, later]) {
      assert.deepEqual(eventsIn(sink.text), ["started", "end"]);
      assert.equal(sink.state, "ended");
    }
    assert.deepEqual(eventsIn(quick.text), ["started", "token", "token", "end"]);
    assert.equal(stream.frames, 2);
  }),
);

test(
  "behind a gate that closed for an ordinary end a slow reader still gets every token",
  staged(({ open }) => {
    const stream = open();
    const slow = followed(stream, undefined, 1);
    stream.started(startedFrame);
    stream.tokens(texts("a", "b"));
    stream.closeGate();
    slow.drain();
    assert.deepEqual(eventsIn(slow.text), ["started"]);
    stream.error(errorFrame);
    while (slow.state === "open") slow.drain();
    assert.deepEqual(eventsIn(slow.text), ["started", "token", "token", "error"]);
  }),
);

test(
  "the rest of a batch waits behind a closed gate for the end, like everything else",
  staged(({ open }) => {
    for (const canceled of [false, true]) {
      const stream = open({ microbatch: true });
      stream.started(startedFrame);
      stream.tokens(texts("a", "b", "c"));
      stream.closeGate();
      const back = followed(stream, { index: 0 });
      assert.equal(back.text, "");
      stream.end(canceled ? { ...endFrame, canceled } : endFrame);
      assert.deepEqual(eventsIn(back.text), canceled ? ["end"] : ["token", "end"]);
      assert.equal(back.state, "ended");
      assert.equal(followed(stream, { index: 0 }).text, back.text);
    }
  }),
);

test(
  "a task that was never placed still starts before it ends, and there is one terminal frame",
  staged(({ open }) => {
    const stream = open();
    const sink = followed(stream);
    stream.closeGate();
    stream.started({ ...startedFrame, pool_id: null, replica_id: null, engine_version: null });
    stream.end({ ...endFrame, canceled: true });
    assert.deepEqual(eventsIn(sink.text), ["started", "end"]);
    assert.throws(() => stream.error(errorFrame), /second terminal frame/);
    assert.throws(() => stream.end(endFrame), /second terminal frame/);
    stream.tokens(texts("late"));
    stream.metrics(metricsFrame, metricsFrame);
    assert.deepEqual(eventsIn(followed(stream).text), ["started", "end"]);
  }),
);

test(
  "a failure is one error frame in place of the end, and nothing follows it [CHK-G-02, OC-CTRL-2028, OC-CTRL-2029]",
  staged(({ open }) => {
    const stream = open();
    const sink = followed(stream);
    stream.started(startedFrame);
    stream.tokens(texts("a"));
    stream.metrics(metricsFrame, metricsFrame);
    stream.error({ ...errorFrame, retry_after_ms: 1000 });
    stream.tokens(texts("b"));
    stream.metrics(metricsFrame, metricsFrame);
    assert.throws(() => stream.end(endFrame), /second terminal frame/);
    assert.deepEqual(eventsIn(sink.text), ["started", "token", "metrics", "error"]);
    assert.equal(sink.state, "ended");
    const data = JSON.parse(sink.text.slice(sink.text.lastIndexOf("data: ") + 6));
    assert.deepEqual(data, { ...errorFrame, retry_after_ms: 1000 });
    const ended = open();
    const other = followed(ended);
    ended.started(startedFrame);
    ended.tokens(texts("a"));
    ended.end(endFrame);
    assert.deepEqual(eventsIn(other.text), ["started", "token", "end"]);
  }),
);

test(
  "a metrics frame that comes before the first token waits for it",
  staged(({ open }) => {
    const stream = open();
    const sink = followed(stream);
    stream.started(startedFrame);
    stream.metrics({ ...metricsFrame, queue_depth: 9 }, metricsFrame);
    stream.metrics(metricsFrame, metricsFrame);
    stream.tokens(texts("a"));
    assert.deepEqual(eventsIn(sink.text), ["started", "token", "metrics"]);
    assert.match(sink.text, /"queue_depth":1,/);
  }),
);

test(
  "verbose adds human text and preparation to metrics frames and nothing else [SSE-1005]",
  staged(({ open }) => {
    const stream = open();
    const quiet = followed(stream);
    const verbose = new TestSink();
    stream.follow(undefined, verbose, { verbose: true });
    stream.started(startedFrame);
    stream.tokens(texts("a"));
    const prep = { load: { status: "running", pct: 40 } } as const;
    stream.metrics(
      { ...metricsFrame, human: "x" },
      { ...metricsFrame, queue_depth: 77, human: "Nearly.", prep },
    );
    stream.end(endFrame);
    assert.ok(!quiet.text.includes("human"));
    const more = ',"prep":{"load":{"pct":40,"status":"running"}},"human":"Nearly."';
    assert.equal(verbose.text.replace(more, ""), quiet.text);
    const again = new TestSink();
    stream.follow(undefined, again, { verbose: true });
    assert.equal(again.text, verbose.text);
  }),
);

test(
  "waiting is told on change, at most once a second, and never after started",
  staged(({ open, clock }) => {
    const stream = open();
    const sink = followed(stream);
    const full = followed(stream, undefined, 1);
    const say = (queue_position: number) => stream.waiting({ queue_position, predicted_start_ms: 5 });
    const seen = () => [...sink.text.matchAll(/^: waiting .*?:(\d+)/gm)].map(([, n]) => Number(n));
    say(5);
    say(5);
    say(4);
    say(3);
    assert.deepEqual(seen(), [5]);
    assert.deepEqual(
      [...followed(stream).text.matchAll(/position":(\d)/g)].map(([, n]) => n),
      ["3"],
    );
    clock.advance(1250);
    assert.deepEqual(seen(), [5, 3]);
    clock.advance(5000);
    say(3);
    assert.deepEqual(seen(), [5, 3]);
    assert.equal(full.text.split(": waiting").length, 2);
    say(2);
    say(1);
    stream.started(startedFrame);
    say(0);
    clock.advance(5000);
    assert.deepEqual(seen(), [5, 3, 2]);
  }),
);

test(
  "micro-batching merges what arrived together, within its bound and in order [OC-CTRL-2026]",
  staged(({ open }) => {
    const stream = open({ microbatch: true, microbatchTokens: 2 });
    const sink = followed(stream);
    stream.started(startedFrame);
    stream.tokens(texts("a", "b", "c"));
    stream.tokens(texts("d"));
    assert.equal(tokensIn(sink.text), "abcd");
    assert.deepEqual(
      [...sink.text.matchAll(/^id: (\d+)-/gm)].map(([, n]) => n),
      ["1", "2", "3"],
    );
    assert.match(sink.text, /data: \{"t":"a","i":0,"batch":\[\{"t":"a","i":0\},\{"t":"b","i":1\}\]\}\n/);
    const within = followed(stream, { index: 0 });
    assert.match(within.text, /^id: 1-.*\nevent: token\ndata: \{"t":"b","i":1\}\n\n/);
    assert.ok(within.text.endsWith(followed(stream, { index: 1 }).text));
  }),
);

test(
  "ids of delivered tokens are exact, or not to be had",
  staged(({ open }) => {
    const stream = open({ ringBytes: 1000 });
    stream.started(startedFrame);
    const ids: number[] = [];
    for (let n = 0; n < 100; n++) {
      ids.push(n, n + 1000);
      stream.tokens([{ t: `${n}`, ids: [n, n + 1000] }]);
    }
    stream.metrics(metricsFrame, metricsFrame);
    assert.deepEqual(stream.idsDelivered(), ids);
    const whole = Array.from({ length: 100 }, (_, n) => n).join("");
    for (const chars of [0, 3, 60, 190]) {
      const tail = stream.tail(chars);
      assert.ok(whole.endsWith(tail) && tail.length >= chars && tail.length <= chars + 2);
    }
    assert.equal(stream.tail(1000), whole);
    stream.tokens(texts("y"));
    assert.equal(stream.hasExactIds, false);
    assert.equal(stream.idsDelivered(), undefined);
  }),
);
