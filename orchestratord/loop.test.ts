import assert from "node:assert/strict";
import { test } from "node:test";
import { type Effect, type Event, Orchestrator } from "@llama-orch/core";
import { Loop } from "./loop.ts";

function loopOf(onPerform: (effects: readonly Effect[], event: Event, loop: Loop) => void = () => {}) {
  const seen: Event[] = [];
  let nowMs = 1000;
  const clock = { nowMs: () => nowMs++, after: () => ({ cancel() {} }) };
  const perform = (effects: readonly Effect[], event: Event) => {
    seen.push(event);
    onPerform(effects, event, loop);
  };
  const loop: Loop = new Loop({ core: new Orchestrator(1), clock, perform });
  return { loop, seen };
}

test("every event gets the next number and its time", () => {
  const { loop, seen } = loopOf();
  loop.post({ type: "StorageChanged", full: true });
  loop.post({ type: "StorageChanged", full: false });
  assert.deepEqual(
    seen.map(({ seq, nowMs }) => [seq, nowMs]),
    [
      [1, 1000],
      [2, 1001],
    ],
  );
});

test("what happens during a performance waits until it is over", () => {
  const order: string[] = [];
  const { loop } = loopOf((_effects, event, own) => {
    order.push(`begin ${event.seq}`);
    if (event.seq === 1) own.post({ type: "ShutdownBegan" });
    order.push(`end ${event.seq}`);
  });
  loop.post({ type: "StorageChanged", full: true });
  assert.deepEqual(order, ["begin 1", "end 1", "begin 2", "end 2"]);
});

test("whoever waits for the outcome must not come from within a performance", () => {
  const { loop } = loopOf((_effects, event, own) => {
    if (event.seq === 1) assert.throws(() => own.handle({ type: "ShutdownBegan" }), /post it/);
  });
  loop.post({ type: "StorageChanged", full: true });
});

test("a performance that throws does not stop what was posted meanwhile", () => {
  const { loop, seen } = loopOf((_effects, event, own) => {
    if (event.seq > 1) return;
    own.post({ type: "ShutdownBegan" });
    throw new Error("broken");
  });
  assert.throws(() => loop.handle({ type: "StorageChanged", full: true }), /broken/);
  assert.deepEqual(
    seen.map(({ type }) => type),
    ["StorageChanged", "ShutdownBegan"],
  );
});

test("a closed loop takes nothing any more", () => {
  const { loop, seen } = loopOf();
  loop.close();
  loop.post({ type: "ShutdownBegan" });
  assert.deepEqual(seen, []);
});

test("what was decided is recorded before anything is done about it, and a bug of the core as what it is", () => {
  const order: string[] = [];
  const loop = new Loop({
    core: new Orchestrator(1),
    clock: { nowMs: () => 7, after: () => ({ cancel() {} }) },
    perform: ({ length }, { seq }) => void order.push(`perform ${seq} ${length}`),
    record: ({ seq, nowMs }, decided) => {
      order.push(`record ${seq} at ${nowMs}: ${"threw" in decided ? decided.threw : decided.length}`);
    },
  });
  loop.post({ type: "ShutdownBegan" });
  assert.throws(() => loop.handle({ type: "NoSuchEvent" } as never), TypeError);
  assert.deepEqual(order.slice(0, 2), ["record 1 at 7: 0", "perform 1 0"]);
  assert.match(order[2] ?? "", /^record 2 at 7: TypeError: /);
  assert.equal(order.length, 3);
});
