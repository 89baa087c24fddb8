// Following streams: readers that come, wait, go away and come back, over real connections.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { framesIn, lastOf, type Reading, tokenBytes, tokensOf } from "./fixtures/client.ts";
import { type Running, running } from "./fixtures/running.ts";

const paced = { tokensPerSecond: 400 };
const { client, log, engines } = await running(
  { after },
  { engines: [paced], config: { stream: { disconnect_grace_ms: 200 } } },
);

test("a reader that is cut ten times has every byte once, and each time is counted", async () => {
  const before = await client.metric("streams_resumed_total", { kind: "reconnect" });
  await client.submit({ task_id: "cut", session_id: "cut", max_tokens: 220 });
  const undisturbed = client.read("cut");
  let mine = "";
  let lastEventId: string | undefined;
  for (let cut = 0; cut < 10; cut++) {
    const reading = await client.follow("cut", lastEventId === undefined ? {} : { lastEventId });
    const tokens = tokensOf(await reading.tokens(10 + cut));
    await reading.leave();
    // Whatever came after the tenth is as lost as what never came.
    lastEventId = tokens[9 + cut]?.id as string;
    mine += reading.text.slice(
      0,
      reading.text.indexOf("\n\n", reading.text.indexOf(`id: ${lastEventId}`)) + 2,
    );
  }
  mine += await client.read("cut", { lastEventId: lastEventId as string });
  assert.equal(mine, await undisturbed);
  assert.equal(await client.metric("streams_resumed_total", { kind: "reconnect" }), before + 10);
});

test("a place is named by an id, a bare index or ?from, while it runs and after its end", async () => {
  await client.submit({ task_id: "placed", session_id: "placed", max_tokens: 60 });
  const whole = client.read("placed");
  const early = await client.follow("placed");
  const id = (await early.tokens(8)).filter(({ event }) => event === "token")[5]?.id as string;
  const ways = [{ lastEventId: id }, { lastEventId: "5" }, { query: "?from=6" }];
  const live = await Promise.all(ways.map((way) => client.read("placed", way)));
  const text = await whole;
  await early.rest();
  const rest = text.slice(text.indexOf("\n\n", text.indexOf(`id: ${id}`)) + 2);
  assert.ok(rest.startsWith("id: 6-") || rest.startsWith("event: metrics"));
  await log.ended("placed");
  const later = await Promise.all(ways.map((way) => client.read("placed", way)));
  for (const each of [...live, ...later]) assert.equal(each, rest);
});

test("a place of another stream is refused, and one at its end has nothing more", async () => {
  await client.submit({ task_id: "checked", session_id: "checked" });
  await client.read("checked");
  const wrong = await client.follow("checked", { lastEventId: "3-00000000" });
  assert.equal(wrong.response.status, 400);
  const { code, message } = JSON.parse(await wrong.rest());
  assert.equal(code, "INVALID_PARAMS");
  assert.match(message, /^Last-Event-ID: frame 3 /);
  for (const lastEventId of ["x", "-1", "3-0000000"]) {
    const refused = await client.follow("checked", { lastEventId });
    assert.equal(refused.response.status, 400);
    await refused.rest();
  }
  const over = await client.call("GET", "/v1/tasks/checked/stream", undefined, { "last-event-id": "end" });
  assert.equal(over.status, 204);
  assert.equal((await client.get("/v1/tasks/never/stream")).status, 404);
});

test("a task that waits tells its readers where it stands, and runs without any of them [ADM-03]", async () => {
  await engines[0]?.faults({ stall_after: 2, times: 1 });
  await client.submit({ task_id: "blocker", session_id: "waits", max_tokens: 50 });
  const blocking = await client.follow("blocker");
  await blocking.tokens(2);
  await client.submit({ task_id: "ahead", session_id: "waits" });
  const { body } = await client.submit({ task_id: "behind", session_id: "waits" });
  assert.equal(body.queue_position, 1);
  const waiting = await client.follow("behind");
  const first = await waiting.until((text) => text.includes("\n\n"));
  assert.match(first, /^: waiting \{"queue_position":1,"predicted_start_ms":\d+\}\n\n$/);
  assert.equal((await client.get("/v2/tasks/behind")).body.queue_position, 1);
  await client.cancel("ahead");
  const moved = await waiting.until((text) => text.includes('"queue_position":0'));
  assert.ok(!moved.includes("event:"));
  await client.cancel("blocker");
  await blocking.rest();
  const text = await waiting.rest();
  assert.equal(framesIn(text)[0]?.event, "started");
  assert.equal(lastOf(framesIn(text)).event, "end");
  await client.submit({ task_id: "unread", session_id: "waits" });
  await log.ended("unread");
});

test(
  "when the last reader stays away longer than the grace its task is cancelled, and one that returns keeps it " +
    "[SSE-1003]",
  async () => {
    await engines[0]?.faults({ stall_after: 5, times: 2 });
    await client.submit({ task_id: "left", session_id: "left", max_tokens: 1000 });
    const one = await client.follow("left");
    await one.tokens(5);
    await one.leave();
    const other = await client.follow("left", { lastEventId: "4" });
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal((await client.get("/v2/tasks/left")).body.state, "running");
    const leftAtMs = performance.now();
    await other.leave();
    const line = await log.ended("left");
    const tookMs = performance.now() - leftAtMs;
    assert.equal(line.event, "task_canceled");
    assert.ok(tookMs > 150 && tookMs < 400, `${tookMs} ms`);
    assert.equal(await client.metric("tasks_canceled_total", { reason: "disconnect" }), 1);
    assert.deepEqual(
      (await client.frames("left")).map(({ event }) => event),
      ["started", "end"],
    );
    await engines[0]?.faults();
  },
);

test("without a grace the last reader takes its task along at once", async (t) => {
  const own = await running(t, { engines: [paced], config: { stream: { disconnect_grace_ms: 0 } } });
  await own.client.submit({ task_id: "dropped", max_tokens: 1000 });
  const reading = await own.client.follow("dropped");
  await reading.tokens(3);
  await reading.leave();
  assert.equal((await own.log.ended("dropped")).event, "task_canceled");
});

test("a stream of micro-batches has the same text under the same places", async (t) => {
  const own = await running(t, { config: { stream: { microbatch: true, microbatch_tokens: 4 } } });
  await client.submit({ task_id: "plain", session_id: "batches", max_tokens: 10 });
  await own.client.submit({ task_id: "plain", session_id: "batches", max_tokens: 10 });
  const [single, merged] = await Promise.all([client.frames("plain"), own.client.frames("plain")]);
  const pieces = tokensOf(merged).flatMap(({ data }) => data.batch ?? [data]);
  assert.deepEqual(
    pieces.map(({ t: text, i }: { t: string; i: number }) => ({ t: text, i })),
    tokensOf(single).map(({ data }) => data),
  );
  assert.equal(tokensOf(merged).at(-1)?.id, tokensOf(single).at(-1)?.id);
  assert.ok(tokensOf(merged).length < 10);
  assert.notEqual(tokenBytes(await own.client.read("plain")), "");
});

test("heartbeats come as often as they are configured, and none where that is 0", async (t) => {
  const [often, never] = await Promise.all(
    [1, 0].map((heartbeat_ms) => running(t, { config: { stream: { heartbeat_ms } } })),
  );
  const readings = [];
  for (const { client: own, engines: fakes } of [often as Running, never as Running]) {
    await fakes[0]?.faults({ stall_after: 1 });
    await own.submit({ task_id: "quiet" });
    readings.push(await own.follow("quiet"));
  }
  const [heard, unheard] = readings as [Reading, Reading];
  await unheard.tokens(1);
  await heard.until((text) => text.split(": keep-alive\n\n").length > 3);
  await never?.client.cancel("quiet");
  assert.ok(!(await unheard.rest()).includes("keep-alive"));
});
