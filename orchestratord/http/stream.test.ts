import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { dial, exchange, type Serving, serving, taskRequest, wholeAnswer } from "./fixtures/serving.ts";

const tokens = ["Moon", " over", " the", " pond"];

async function finished(s: Serving): Promise<void> {
  await s.post("/v1/tasks", taskRequest());
  s.application.finish("poem-1", tokens);
}

const events = (text: string) => [...text.matchAll(/^event: (\w+)$/gm)].map(([, name]) => name);
const indexes = (text: string) => [...text.matchAll(/"i":(\d+)/g)].map(([, i]) => Number(i));

test("the stream is routed to its handler [CHK-A-09]", async (t) => {
  const s = await serving(t);
  await finished(s);
  const answer = await s.fetch("/v1/tasks/poem-1/stream");
  assert.deepEqual([answer.status, answer.headers.get("content-type")], [200, "text/event-stream"]);
  const sent = ["started", "token", "token", "token", "token", "metrics", "end"];
  assert.deepEqual(events(await answer.text()), sent);
});

test("the stream has its type, the budget headers and the four events of a task that ends well [CHK-F-10]", async (t) => {
  const s = await serving(t);
  await finished(s);
  const answer = await s.fetch("/v1/tasks/poem-1/stream");
  const shown = (name: string) => answer.headers.get(`x-budget-${name}-remaining`);
  assert.equal(answer.headers.get("content-type"), "text/event-stream");
  assert.deepEqual([shown("tokens"), shown("cost")], ["12", "0.5"]);
  assert.equal(answer.headers.get("x-budget-time-remaining-ms"), "600000");
  assert.deepEqual([...new Set(events(await answer.text()))], ["started", "token", "metrics", "end"]);
});

test("metrics frames tell more to a reader that asks for it, and only then", async (t) => {
  const s = await serving(t);
  await finished(s);
  const read = async (query: string) => (await s.fetch(`/v1/tasks/poem-1/stream${query}`)).text();
  assert.match(await read("?verbose=true"), /The pond is warm\./);
  for (const query of ["", "?verbose=false"]) assert.doesNotMatch(await read(query), /warm\./);
});

test("a stream says its type, its correlation id and three budgets before its first frame [CHK-G-01]", async (t) => {
  const s = await serving(t);
  await s.post("/v1/tasks", taskRequest());
  const stop = new AbortController();
  // Nothing was written to the stream: the headers come all the same.
  const answer = await s.fetch("/v1/tasks/poem-1/stream", {
    headers: { "X-Correlation-Id": "read-1" },
    signal: stop.signal,
  });
  const shown = (name: string) => answer.headers.get(name);
  assert.equal(answer.status, 200);
  assert.equal(shown("content-type"), "text/event-stream");
  assert.equal(shown("cache-control"), "no-cache");
  assert.equal(shown("x-accel-buffering"), "no");
  assert.equal(shown("x-correlation-id"), "read-1");
  assert.equal(shown("x-budget-tokens-remaining"), "12");
  assert.equal(shown("x-budget-time-remaining-ms"), "600000");
  assert.equal(shown("x-budget-cost-remaining"), "0.5");
  stop.abort();
});

test("a reader comes back by Last-Event-ID or ?from and gets what follows, the header first", async (t) => {
  const s = await serving(t);
  await finished(s);
  const path = "/v1/tasks/poem-1/stream";
  const read = async (query: string, id?: string) =>
    (await s.fetch(`${path}${query}`, id === undefined ? {} : { headers: { "Last-Event-ID": id } })).text();
  const whole = await read("");
  const ids = [...whole.matchAll(/^id: (\d+-\w{8})$/gm)].map(([, id]) => id as string);
  assert.deepEqual(indexes(await read("?from=0")), [0, 1, 2, 3]);
  assert.equal(await read("?from=0"), whole);
  assert.equal(await read("", ""), whole);
  assert.deepEqual(indexes(await read("?from=2")), [2, 3]);
  assert.deepEqual(indexes(await read("", "1")), [2, 3]);
  assert.deepEqual(indexes(await read("", ids[2])), [3]);
  assert.deepEqual(indexes(await read("?from=1", ids[2])), [3]);
  assert.deepEqual(events(await read("", ids[3])), ["metrics", "end"]);
});

test("a reader that has the end gets 204, which makes an EventSource stop, whatever the task", async (t) => {
  const s = await serving(t);
  for (const id of ["poem-1", "never"]) {
    const answer = await s.fetch(`/v1/tasks/${id}/stream`, { headers: { "Last-Event-ID": "end" } });
    assert.deepEqual([answer.status, await answer.text()], [204, ""]);
    assert.notEqual(answer.headers.get("x-correlation-id"), null);
  }
});

test("a position that cannot be is 400 in the envelope and not a stream", async (t) => {
  const s = await serving(t);
  await finished(s);
  const ask = (query: string, id = "") =>
    s.fetch(`/v1/tasks/poem-1/stream${query}`, { headers: { "Last-Event-ID": id } });
  for (const answer of [
    await ask("", "x"),
    await ask("", "1-"),
    await ask("", "-1"),
    await ask("", "1-00000000"),
    await ask("?from=-1"),
    await ask("?from=1.5"),
    await ask("?from=1&from=2"),
    await ask("?from="),
    await ask("?verbose=yes"),
  ]) {
    const body = (await answer.json()) as Record<string, unknown>;
    assert.deepEqual([answer.status, body.code], [400, "INVALID_PARAMS"]);
    assert.match(answer.headers.get("content-type") as string, /^application\/json/);
    assert.equal(answer.headers.get("x-budget-tokens-remaining"), null);
    assert.notEqual(answer.headers.get("x-correlation-id"), null);
  }
});

test("the stream of a task that was never admitted is 404 NOT_FOUND [API-03]", async (t) => {
  const { fetch } = await serving(t);
  for (const id of ["never", "%00", "a%2Fb", "%E2%82%AC", "x".repeat(200)]) {
    const answer = await fetch(`/v1/tasks/${id}/stream`);
    const body = (await answer.json()) as Record<string, unknown>;
    assert.deepEqual([answer.status, body.code], [404, "NOT_FOUND"], id);
  }
});

test("the last byte of a finished stream leaves the connection ready for the next request", async (t) => {
  const s = await serving(t);
  await finished(s);
  const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${more}\r\n`;
  const text = await exchange(
    s.port,
    get("/v1/tasks/poem-1/stream") + get("/v1/capabilities", "Connection: close\r\n"),
  );
  assert.equal(text.match(/^HTTP\/1\.1 200 OK/gm)?.length, 2);
});

test("a client that goes away is no reader any more", async (t) => {
  const s = await serving(t);
  await s.post("/v1/tasks", taskRequest());
  const socket = await dial(s.port);
  socket.write("GET /v1/tasks/poem-1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await once(socket, "data");
  const stream = s.application.streamOf("poem-1");
  assert.equal(stream.readers, 1);
  socket.destroy();
  while (stream.readers > 0) await new Promise(setImmediate);
});

test("a stop cuts streams without a terminal frame, and none opens again", async (t) => {
  const s = await serving(t);
  await s.post("/v1/tasks", taskRequest());
  const socket = await dial(s.port);
  socket.write("GET /v1/tasks/poem-1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await once(socket, "data");
  const text = wholeAnswer(socket);
  s.application.streamOf("poem-1").waiting({ queue_position: 1, predicted_start_ms: 5 });
  await once(socket, "data");
  await s.server.close();
  assert.match(await text, /: waiting \{"queue_position":1,"predicted_start_ms":5\}\n\n/);
  assert.deepEqual(events(await text), []);
  assert.equal(s.application.streamOf("poem-1").readers, 0);
});
