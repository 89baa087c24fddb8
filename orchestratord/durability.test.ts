// What waits until the store says that it is safe, and what becomes of a task that the store refuses. The
// disk is played by the test; everything else is real.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { StartedFake } from "@llama-orch/engines/fake";
import { type Client, framesIn, lastOf, tokensOf } from "./fixtures/client.ts";
import { HeldStore } from "./fixtures/held-store.ts";
import { type RunningOptions, running } from "./fixtures/running.ts";
import type { Fact } from "./store/store.ts";

async function onHeldDisk(t: TestContext, options: RunningOptions = {}) {
  const store = new HeldStore({ nowMs: () => Date.now(), keepEndedMs: 60_000, rememberMs: 60_000 });
  return { store, ...(await running(t, { ...options, store })) };
}

const kindIs =
  (kind: Fact["fact"]) =>
  ({ fact }: Fact) =>
    fact === kind;

/** Whether an answer comes while several later ones do: one that waits for nothing is not behind those. */
async function isSettled(client: Client, promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = () => {
    settled = true;
  };
  promise.then(note, note);
  for (let round = 0; round < 20; round++) await client.get("/v2/pools");
  return settled;
}

/** Prompts that the engine was ever given. */
async function promptTokens([engine]: readonly StartedFake[]): Promise<string | undefined> {
  const text = await (await fetch(`${engine?.url}/metrics`)).text();
  return /^llamacpp:prompt_tokens_total (\d+)/m.exec(text)?.[1];
}

test("nothing is answered or streamed before its admission is safe, and the engine works meanwhile", async (t) => {
  const { client, store, engines } = await onHeldDisk(t);
  store.holds = kindIs("admitted");
  const submitted = client.submit({ task_id: "held" });
  await store.until("admitted");
  const followed = client.read("held");
  const repeated = client.submit({ task_id: "held" });
  while ((await promptTokens(engines)) === "0");
  assert.equal(await isSettled(client, Promise.race([submitted, followed, repeated])), false);
  store.release();
  assert.equal((await submitted).status, 202);
  assert.equal((await repeated).status, 202);
  assert.equal(lastOf(framesIn(await followed)).event, "end");
});

test("a cancel that overtakes the admission waits for it, and then nothing is shown", async (t) => {
  const { client, store } = await onHeldDisk(t);
  store.holds = kindIs("admitted");
  const submitted = client.submit({ task_id: "overtaken" });
  await store.until("admitted");
  const canceled = client.cancel("overtaken");
  const followed = client.read("overtaken");
  assert.equal(await isSettled(client, Promise.race([canceled, followed])), false);
  store.release();
  assert.equal((await submitted).status, 202);
  assert.equal((await canceled).status, 204);
  const frames = framesIn(await followed);
  assert.equal(lastOf(frames).data.canceled, true);
  assert.equal(tokensOf(frames).length, 0);
});

test("the terminal frame leaves when the outcome is safe", async (t) => {
  const { client, store } = await onHeldDisk(t, { engines: [{ tokensPerSecond: 100 }] });
  store.holds = kindIs("ended");
  await client.submit({ task_id: "ends", max_tokens: 20 });
  const reading = await client.follow("ends");
  await reading.tokens(3);
  await store.until("ended");
  const rest = reading.rest();
  assert.equal(await isSettled(client, rest), false);
  assert.ok(!reading.text.includes("event: end"));
  store.release();
  assert.match(await rest, /event: end/);
});

test("a cancel is answered when it is safe, and so are a drain and a deleted session", async (t) => {
  const { client, store, engines } = await onHeldDisk(t);
  await engines[0]?.faults({ stall_after: 1 });
  await client.submit({ task_id: "canceled" });
  await (await client.follow("canceled")).tokens(1);
  store.holds = () => true;
  const canceled = client.cancel("canceled");
  const deleted = client.call("DELETE", "/v1/sessions/session");
  const drained = client.call("POST", "/v1/pools/pool-0/drain", { deadline_ms: 0 });
  await Promise.all([store.until("ended"), store.until("session-deleted"), store.until("drained")]);
  assert.equal(await isSettled(client, Promise.race([canceled, deleted, drained])), false);
  store.release();
  assert.equal((await canceled).status, 204);
  assert.equal((await deleted).status, 204);
  assert.ok((await drained).status < 300);
});

test("a task that the store refuses is answered 503, shows nothing, and may be sent again", async (t) => {
  const { client, store, log } = await onHeldDisk(t);
  store.holds = kindIs("admitted");
  store.refuses = () => true;
  const submitted = client.submit({ task_id: "refused" });
  await store.until("admitted");
  const followed = client.get("/v1/tasks/refused/stream");
  const repeated = client.submit({ task_id: "refused" });
  await isSettled(client, followed);
  store.release();
  for (const { status, body } of await Promise.all([submitted, repeated, followed])) {
    assert.equal(status, 503);
    assert.equal(body.code, "POOL_UNAVAILABLE");
    assert.equal(body.policy_label, "storage");
  }
  assert.deepEqual(log.of("trouble"), []);
  assert.equal((await client.get("/v1/tasks/refused/stream")).status, 404);
  assert.equal((await client.get("/v2/tasks")).body.tasks.length, 0);
  const { body: text } = await client.get("/metrics");
  assert.match(text, /^tasks_enqueued_total\{.*priority="interactive"\} 0$/m, "it was never taken in");
  assert.match(text, /^tasks_canceled_total\{.*reason="client"\} 0$/m, "nobody cancelled it");
  assert.match(text, /^tasks_rejected_total\{.*reason="POOL_UNAVAILABLE"\} 1$/m);
  // The store is known to be full: the next is refused before it is tried.
  const asked = store.asked.length;
  assert.equal((await client.submit({ task_id: "next" })).body.policy_label, "storage");
  assert.equal(store.asked.length, asked);
  assert.equal((await client.call("POST", "/v1/artifacts", { n: 1 })).body.code, "ARTIFACT_STORE_FULL");
  store.refuses = () => false;
  let answer = await client.submit({ task_id: "refused" });
  while (answer.status !== 202) {
    await isSettled(client, Promise.resolve());
    answer = await client.submit({ task_id: "refused" });
  }
  assert.equal(lastOf(await client.frames("refused")).event, "end");
});

test("a task that the store refuses has never been, whatever an engine has said of it meanwhile", async (t) => {
  const { client, store, engines, log } = await onHeldDisk(t);
  const [engine] = engines;
  await fetch(`${engine?.url}/faults`, { method: "POST", body: JSON.stringify({ status: 400 }) });
  store.holds = kindIs("admitted");
  store.refuses = () => true;
  const submitted = client.submit({ task_id: "failed-early", session_id: "s" });
  await store.until("admitted");
  await isSettled(client, submitted);
  const [shown] = (await client.get("/v2/tasks")).body.tasks;
  assert.equal(shown.state, "running");
  store.release();
  assert.equal((await submitted).body.policy_label, "storage");
  assert.equal((await client.get("/v1/sessions/s")).body.turns, 0);
  assert.deepEqual(log.of("task_failed"), []);
});

test("what the store refuses of a task's end is owed: nothing is told before, and all of it afterwards", async (t) => {
  const { client, store } = await onHeldDisk(t);
  store.refuses = (facts) => facts.length === 0 || facts.some(kindIs("ended"));
  await client.submit({ task_id: "owed" });
  const reading = await client.follow("owed");
  await store.until("ended");
  const rest = reading.rest();
  assert.equal(await isSettled(client, rest), false);
  assert.ok(!reading.text.includes("event: end"));
  const canceled = await client.cancel("owed");
  assert.equal(canceled.status, 503);
  assert.equal(canceled.body.policy_label, "storage");
  assert.equal((await client.submit({ task_id: "next" })).body.policy_label, "storage");
  store.refuses = () => false;
  assert.match(await rest, /event: end/);
  assert.equal((await client.cancel("owed")).status, 204);
});

test("a task whose place the store refuses shows nothing until it is kept, however often it is sent", async (t) => {
  const { client, store } = await onHeldDisk(t, { pool: { determinism: "best_effort" } });
  const sent = () => store.asked.filter(kindIs("sent")).length;
  store.refuses = (facts) => facts.some(kindIs("sent"));
  await client.submit({ task_id: "nowhere" });
  const reading = await client.follow("nowhere");
  while (sent() < 4) await client.get("/v2/pools");
  assert.equal(tokensOf(framesIn(reading.text)).length, 0);
  assert.equal(store.recover().tasks[0]?.sentTo, undefined);
  store.refuses = () => false;
  const frames = framesIn(await reading.rest());
  assert.deepEqual([tokensOf(frames)[0]?.data.i, lastOf(frames).event], [0, "end"]);
});

test("a drain and a deleted session that the store refuses are written down in the end", async (t) => {
  const { client, store, engines } = await onHeldDisk(t);
  await engines[0]?.faults({ stall_after: 1 });
  await client.submit({ task_id: "running" });
  await (await client.follow("running")).tokens(1);
  store.refuses = () => true;
  const answers = [
    await client.call("POST", "/v1/pools/pool-0/drain", { deadline_ms: 60_000 }),
    await client.call("DELETE", "/v1/sessions/session"),
  ];
  assert.deepEqual(
    answers.map(({ status }) => status),
    [503, 503],
  );
  const { drains, sessions } = store.recover();
  assert.deepEqual([drains.length, sessions.length], [0, 1]);
  store.refuses = () => false;
  const isWritten = () => {
    const { drains, sessions } = store.recover();
    return drains.length === 1 && sessions.length === 0;
  };
  while (!isWritten()) await client.get("/v2/pools");
});

test("a reload is answered when its pool would not be found drained after a restart", async (t) => {
  const { client, store } = await onHeldDisk(t);
  assert.equal((await client.call("POST", "/v1/pools/pool-0/drain", { deadline_ms: 0 })).status, 202);
  assert.equal(store.recover().drains.length, 1);
  store.holds = kindIs("undrained");
  const reloaded = client.call("POST", "/v1/pools/pool-0/reload", { new_model_ref: "haiku" });
  await store.until("undrained");
  assert.equal(await isSettled(client, reloaded), false);
  store.release();
  assert.equal((await reloaded).status, 200);
  assert.deepEqual(store.recover().drains, []);
});
