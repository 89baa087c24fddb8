// Streams of tasks that the daemon's lists have forgotten: what the store remembers of them is enough.

import assert from "node:assert/strict";
import { test } from "node:test";
import { lastOf } from "./fixtures/client.ts";
import { HeldStore } from "./fixtures/held-store.ts";
import { running } from "./fixtures/running.ts";

const nowMs = () => Date.now();
const streamsMs = 600_000;

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
