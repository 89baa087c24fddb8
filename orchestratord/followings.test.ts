// Streams of tasks that the daemon's lists have forgotten: what the store remembers of them is enough. And
// who counts as a reader.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { OrchestratordConfig } from "@llama-orch/contract";
import { Orchestrator } from "@llama-orch/core";
import { lastOf } from "./fixtures/client.ts";
import { HeldStore } from "./fixtures/held-store.ts";
import { aRecord } from "./fixtures/records.ts";
import { running } from "./fixtures/running.ts";
import { Followings } from "./followings.ts";
import { Recorder } from "./recorder.ts";
import { staged, startedFrame, TestSink, texts } from "./streaming/fixtures/stage.ts";
import { Replays } from "./streaming/replays.ts";
import { Tasks } from "./tasks.ts";

const nowMs = () => Date.now();
const streamsMs = 600_000;
const caller = { client: "127.0.0.1", identity: "localhost", correlationId: "correlation" };

test("a finished stream is served for as long as was promised, although lists have forgotten its task", async (t) => {
  const store = new HeldStore({ nowMs, keepEndedMs: streamsMs, rememberMs: streamsMs });
  // Lists forget a task as soon as the next has ended.
  const { client } = await running(t, {
    store,
    config: { retention: { idempotency_ms: 1, streams_ms: streamsMs } },
  });
  await client.submit({ task_id: "old", tenant_id: "acme" });
  const text = await client.read("old");
  await client.submit({ task_id: "newer" });
  await client.read("newer");
  await client.submit({ task_id: "newest" });
  await client.read("newest");
  assert.equal((await client.get("/v2/tasks/old")).status, 404);
  assert.equal(await client.read("old"), text);
  assert.equal(lastOf(await client.frames("old", { lastEventId: "6" })).event, "end");
});

test("a stream that is remembered and no longer served is gone, and says what to do", async (t) => {
  const store = new HeldStore({ nowMs, keepEndedMs: 0, rememberMs: streamsMs });
  const { client } = await running(t, { store, config: { retention: { idempotency_ms: 1, streams_ms: 1 } } });
  for (const task_id of ["old", "newer", "newest"]) {
    await client.submit({ task_id });
    await client.read(task_id);
  }
  const { status, body } = await client.get("/v1/tasks/old/stream");
  assert.equal(status, 410);
  assert.equal(body.code, "GONE");
  assert.match(body.message, /^The stream of task old is no longer served\. Send the task again under /);
  assert.equal((await client.get("/v1/tasks/never/stream")).status, 404);
});

test("who is bound to no tenant reads the transcript of every task that it may follow", async (t) => {
  const { client } = await running(t);
  await client.submit({ task_id: "theirs", tenant_id: "acme" });
  const { data } = lastOf(await client.frames("theirs"));
  const { status, body } = await client.get(`/v1/artifacts/${data.transcript}`);
  assert.equal(status, 200);
  assert.equal(body.metadata.request.tenant_id, "acme");
});

test(
  "who comes with the place of another text is no reader, so that nobody is taken to have gone",
  staged(async ({ open, clock }) => {
    const store = new HeldStore({ nowMs, keepEndedMs: streamsMs, rememberMs: streamsMs });
    const core = new Orchestrator(1);
    const tasks = new Tasks(0);
    const stream = open();
    tasks.add({ ...aRecord({ taskId: "runs" }), stream });
    stream.started(startedFrame);
    stream.tokens(texts("Moon"));
    let reconnects = 0;
    const followings = new Followings({
      core,
      clock,
      tasks,
      store,
      recorder: new Recorder({ core, store }),
      replays: new Replays({ clock, load: () => assert.fail(), make: () => assert.fail() }),
      config: { retention: { streams_ms: streamsMs } } as OrchestratordConfig,
      onReconnect: () => reconnects++,
    });
    const { stream: found } = await followings.follow("runs", caller);
    const told = () => [store.asked.map(({ fact }) => fact), reconnects];
    const other = { index: 0, digest: "00000000" };
    assert.throws(() => found.follow(other, new TestSink(), { verbose: false }), { code: "INVALID_PARAMS" });
    assert.deepEqual(told(), [[], 0]);
    found.follow({ index: 0 }, new TestSink(), { verbose: false });
    assert.deepEqual(told(), [["read"], 1]);
  }),
);
