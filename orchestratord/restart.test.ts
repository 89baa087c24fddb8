// What a kill -9 of the daemon costs: nothing that was answered, no byte of a stream, no place in a queue.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Frame, framesIn, lastOf, type Reading, tokenBytes, tokensOf } from "./fixtures/client.ts";
import { Killable, type KillableOptions } from "./fixtures/killable.ts";

const paced = { tokensPerSecond: 200 };

async function killable(t: TestContext, options: KillableOptions = {}): Promise<Killable> {
  const daemon = await Killable.start(t, { engines: [paced], ...options });
  await daemon.ready();
  return daemon;
}

/** Half a second of the only slot. */
const lengthy = { max_tokens: 100 };

const idOf = (frames: readonly Frame[]): string => tokensOf(frames).at(-1)?.id as string;

const indexesIn = (text: string): number[] => tokensOf(framesIn(text)).map(({ data }) => data.i);

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

/** What came before the daemon went. */
const broken = (reading: Reading): Promise<void> => assert.rejects(reading.rest());

/** Reads so many tokens, and what follows them after the daemon was killed and started again. */
async function acrossKill(daemon: Killable, id: string, tokens: number): Promise<string> {
  const reading = await daemon.client.follow(id);
  const before = await reading.tokens(tokens);
  await daemon.kill();
  await broken(reading);
  await daemon.start();
  const lastEventId = idOf(framesIn(reading.text));
  assert.ok(before.length > 0);
  const after = await daemon.client.read(id, { lastEventId });
  return tokenBytes(reading.text) + after;
}

test("a strict stream goes on at the next index, with the bytes of an undisturbed run", async (t) => {
  const daemon = await killable(t);
  await daemon.client.submit({ task_id: "alone", max_tokens: 60 });
  const alone = await daemon.client.read("alone");
  await daemon.client.submit({ task_id: "cut", max_tokens: 60 });
  const text = await acrossKill(daemon, "cut", 20);
  assert.equal(tokenBytes(text), tokenBytes(alone));
  assert.equal(lastOf(framesIn(text)).event, "end");
  const again = await daemon.client.frames("cut");
  assert.equal(again.find(({ data }) => data.resumed !== undefined)?.data.resumed, "replayed");
  assert.equal(await daemon.client.metric("streams_resumed_total", { kind: "restart" }), 1);
  assert.equal(await daemon.client.metric("replay_mismatch_total"), 0);
});

test("a best-effort stream keeps what was delivered and goes on after it, each index once", async (t) => {
  const daemon = await killable(t, { pool: { determinism: "best_effort" } });
  await daemon.client.submit({ task_id: "cut", max_tokens: 60 });
  const text = await acrossKill(daemon, "cut", 20);
  assert.deepEqual(indexesIn(text), upTo(60));
  assert.equal(framesIn(text).find(({ data }) => data.resumed !== undefined)?.data.resumed, "continued");
  const again = await daemon.client.read("cut");
  assert.equal(tokenBytes(again), tokenBytes(text));
  assert.equal(framesIn(again).filter(({ event }) => event === "started").length, 1);
});

test("what waited runs in its old order, and a repeat gets the first answer again", async (t) => {
  const daemon = await killable(t);
  const ids = ["first", "second", "third"];
  const answers = [];
  for (const id of ids) answers.push(await daemon.client.submit({ ...lengthy, task_id: id, session_id: id }));
  await daemon.kill();
  await daemon.start();
  for (const [n, id] of ids.entries()) {
    const again = await daemon.client.submit({ ...lengthy, task_id: id, session_id: id });
    assert.equal(again.status, 202);
    assert.deepEqual(again.body, answers[n]?.body);
  }
  const other = await daemon.client.submit({ task_id: "first", session_id: "first", max_tokens: 9 });
  assert.equal(other.status, 409);
  for (const id of ids) assert.equal(lastOf(await daemon.client.frames(id)).event, "end");
  const placed = daemon.log.of("task_placed").map(({ task_id }) => task_id);
  assert.deepEqual([...new Set(placed)], ids);
});

test("a finished stream is served again, as are its row and the answer to its task", async (t) => {
  const daemon = await killable(t);
  const { body: answer } = await daemon.client.submit({ task_id: "done", max_tokens: 12 });
  const before = await daemon.client.read("done");
  const { body: row } = await daemon.client.get("/v2/tasks/done");
  await daemon.kill();
  await daemon.start();
  assert.equal(await daemon.client.read("done"), before);
  assert.deepEqual((await daemon.client.get("/v2/tasks/done")).body, row);
  assert.deepEqual((await daemon.client.get("/v2/tasks")).body.tasks, [row]);
  const again = await daemon.client.submit({ task_id: "done", max_tokens: 12 });
  assert.deepEqual(again.body, answer);
});

test("a cancel that was answered stays one: no token comes after it", async (t) => {
  const daemon = await killable(t);
  await daemon.client.submit({ task_id: "canceled", max_tokens: 200 });
  await (await daemon.client.follow("canceled")).tokens(5);
  assert.equal((await daemon.client.cancel("canceled")).status, 204);
  await daemon.kill();
  await daemon.start();
  assert.equal(lastOf(await daemon.client.frames("canceled")).data.canceled, true);
});

test("a strict task delivered in part ends with WORKER_RESET where its engines are others", async (t) => {
  const daemon = await killable(t, {
    engines: [paced, { ...paced, computeFingerprint: "another" }],
  });
  const onFirst = { placement: { mode: "prefer", prefer_pools: ["pool-0"] }, max_tokens: 100 };
  await daemon.client.submit({ ...onFirst, task_id: "orphan", determinism: "strict" });
  const reading = await daemon.client.follow("orphan");
  await reading.tokens(5);
  // Its answer leaves when all that was told before is safe, which is that the other one is read.
  await daemon.client.submit({ task_id: "later" });
  await daemon.kill();
  await broken(reading);
  await daemon.start({ pools: { "pool-0": 1 } });
  const end = lastOf(await daemon.client.frames("orphan", { lastEventId: idOf(framesIn(reading.text)) }));
  assert.equal(end.event, "error");
  assert.equal(end.data.code, "WORKER_RESET");
});

test("a task whose pool is not configured any more runs where its model is served", async (t) => {
  const daemon = await killable(t);
  await daemon.client.submit({ ...lengthy, task_id: "runs" });
  await daemon.client.submit({ task_id: "moved" });
  await daemon.kill();
  await daemon.start({ pools: { renamed: 0 } });
  const frames = await daemon.client.frames("moved");
  assert.equal(lastOf(frames).event, "end");
  assert.equal(frames[0]?.data.pool_id, "renamed");
});

test("a pinned task whose pool is not configured any more ends, and is told that and who serves its model", async (t) => {
  const daemon = await killable(t);
  const pinned = { placement: { mode: "pin", pin_pool_id: "pool-0" }, max_tokens: 200 };
  await daemon.client.submit({ ...pinned, task_id: "ran" });
  const reading = await daemon.client.follow("ran");
  await reading.tokens(5);
  // Its answer leaves when all that was told before is safe, which is that the other one is read.
  await daemon.client.submit({ ...pinned, task_id: "waited" });
  await daemon.kill();
  await broken(reading);
  await daemon.start({ pools: { renamed: 0 } });
  const lastEventId = idOf(framesIn(reading.text));
  const ends = [
    lastOf(await daemon.client.frames("ran", { lastEventId })),
    lastOf(await daemon.client.frames("waited")),
  ];
  const why =
    "Its pool pool-0 is not configured any more; pools that serve haiku: renamed. Send the task again without the pin.";
  assert.deepEqual(
    ends.map(({ event, data }) => [event, data.code, data.message]),
    [
      ["error", "WORKER_RESET", why],
      ["error", "POOL_UNAVAILABLE", why],
    ],
  );
});

test("nothing that was accepted is refused by a smaller queue", async (t) => {
  const daemon = await killable(t);
  const ids = upTo(5).map((n) => `waits-${n}`);
  for (const id of ids) await daemon.client.submit({ ...lengthy, task_id: id, session_id: id });
  await daemon.kill();
  await daemon.start({ pool: { queue: { capacity: 1 } } });
  await daemon.ready();
  const refused = await daemon.client.submit({ task_id: "new", session_id: "new" });
  assert.equal(refused.status, 429);
  for (const id of ids) assert.equal(lastOf(await daemon.client.frames(id)).event, "end");
});

test("turns and budgets of a session count on", async (t) => {
  const config = { session: { budgets: { tokens: 100 } } };
  const daemon = await killable(t, { config });
  await daemon.client.submit({ task_id: "spends", max_tokens: 30 });
  await daemon.client.read("spends");
  const { body: before } = await daemon.client.get("/v1/sessions/session");
  await daemon.kill();
  await daemon.start();
  const { body: after } = await daemon.client.get("/v1/sessions/session");
  assert.equal(after.turns, 1);
  assert.equal(after.tokens_budget_remaining, 70);
  assert.equal(after.tokens_budget_remaining, before.tokens_budget_remaining);
});

test("a drained pool stays drained, and a deleted session stays deleted", async (t) => {
  const daemon = await killable(t);
  await daemon.client.submit({ task_id: "one" });
  await daemon.client.read("one");
  assert.equal((await daemon.client.call("DELETE", "/v1/sessions/session")).status, 204);
  assert.equal((await daemon.client.call("POST", "/v1/pools/pool-0/drain", { deadline_ms: 0 })).status, 202);
  await daemon.kill();
  await daemon.start();
  assert.equal((await daemon.client.get("/v1/sessions/session")).body.turns, 0);
  const { body } = await daemon.client.get("/v2/pools");
  assert.equal(body.pools[0].health.draining, true);
});

test("a polite stop loses nothing either: what was not finished goes on at the next start", async (t) => {
  const daemon = await killable(t);
  await daemon.client.submit({ task_id: "long", max_tokens: 200 });
  const reading = await daemon.client.follow("long");
  await reading.tokens(10);
  await daemon.kill("SIGTERM");
  await broken(reading);
  await daemon.start();
  const rest = await daemon.client.read("long", { lastEventId: idOf(framesIn(reading.text)) });
  assert.deepEqual(indexesIn(tokenBytes(reading.text) + rest), upTo(200));
});
