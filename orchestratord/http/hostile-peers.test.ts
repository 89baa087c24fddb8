// Peers that open and say nothing, say it slowly, or never listen: they are ended in time, and everybody else
// is served meanwhile.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { dial, exchange, serving, taskRequest, wholeAnswer } from "./fixtures/serving.ts";

const scrape = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const soon = { checkIntervalMs: 50, headersTimeoutMs: 300, requestTimeoutMs: 300 };

test("a thousand half-open connections leave the server responsive, and each is ended with 408", async (t) => {
  const s = await serving(t, { limits: { ...soon, headersTimeoutMs: 2000, requestTimeoutMs: 3000 } });
  const sockets = await Promise.all(Array.from({ length: 1000 }, () => dial(s.port)));
  const answers = sockets.map(wholeAnswer);
  for (const [n, socket] of sockets.entries()) {
    if (n % 2 === 0) socket.write("POST /v1/tasks HTTP/1.1\r\nHost: local");
  }
  assert.equal((await s.post("/v1/tasks", taskRequest())).status, 202);
  assert.ok(sockets.some((socket) => !socket.closed));
  const texts = await Promise.all(answers);
  for (const text of texts) assert.match(text, /^HTTP\/1\.1 408 .*X-Correlation-Id/s);
  assert.equal((await s.fetch("/metrics")).status, 200);
});

test("beyond the bound of connections further ones are closed, and go again when others have left", async (t) => {
  const s = await serving(t, { limits: { connectionsMax: 3 } });
  const held = await Promise.all([dial(s.port), dial(s.port), dial(s.port)]);
  assert.equal(await exchange(s.port, scrape), "");
  for (const socket of held) {
    socket.write(scrape);
    assert.match(await wholeAnswer(socket), /^HTTP\/1\.1 200 /);
  }
  assert.match(await exchange(s.port, scrape), /^HTTP\/1\.1 200 /);
});

test("a body that comes too slowly is ended with 408, and nothing was admitted", async (t) => {
  const s = await serving(t, { limits: soon });
  const socket = await dial(s.port);
  socket.write(
    "POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{",
  );
  const text = await wholeAnswer(socket);
  assert.match(text, /^HTTP\/1\.1 408 /);
  assert.match(text, /X-Correlation-Id/);
  assert.deepEqual([s.application.callers, s.faults], [[], []]);
});

test("the limits of requests do not end a stream", async (t) => {
  const s = await serving(t, { limits: { ...soon, keepAliveTimeoutMs: 50 } });
  await s.post("/v1/tasks", taskRequest());
  const socket = await dial(s.port);
  const text = wholeAnswer(socket);
  socket.write("GET /v1/tasks/poem-1/stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  await once(socket, "data");
  // A connection that says nothing meets the limit; when it is gone, the stream has lived through it.
  await wholeAnswer(await dial(s.port));
  s.application.finish("poem-1", ["Moon"]);
  assert.match(await text, /event: end/);
});

test("a client that never reads its answers holds a bounded part of them, and is ended", {
  timeout: 30_000,
}, async (t) => {
  const s = await serving(t, { limits: { answerStallMs: 300, connectionsMax: 1 } });
  const document = JSON.stringify({ content: { text: "x".repeat(12_000_000) } });
  const post =
    "POST /v1/artifacts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
    `Connection: close\r\nContent-Length: ${document.length}\r\n\r\n${document}`;
  const id = /"id":"([^"]+)"/.exec(await exchange(s.port, post))?.[1];
  const deaf = await dial(s.port);
  deaf.pause();
  deaf.write(`GET /v1/artifacts/${id} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(100));
  // It has the only connection there is, so somebody else is served when it was ended.
  while ((await exchange(s.port, scrape)) === "");
  const text = await wholeAnswer(deaf.resume());
  assert.ok(text.length < 2 * 12_000_000, `${text.length} bytes were on their way`);
});

test("while too much is held for slow peers, large requests are told to come again", async (t) => {
  const s = await serving(t, { limits: { heldBytesMax: 1000 } });
  const head = "POST /v1/artifacts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
  const socket = await dial(s.port);
  socket.write(`${head}Content-Length: 5000\r\n\r\n{"content":{"t":"${"x".repeat(2000)}`);
  let answer = await s.post("/v1/tasks", taskRequest());
  while (answer.status === 202) answer = await s.post("/v1/tasks", taskRequest());
  const body = (await answer.json()) as Record<string, unknown>;
  assert.deepEqual([answer.status, body.code, body.policy_label], [429, "ADMISSION_REJECT", "quota"]);
  assert.equal(answer.headers.get("retry-after"), "1");
  assert.equal((await s.fetch("/v1/capabilities")).status, 200);
  socket.destroy();
  while ((await s.post("/v1/tasks", taskRequest())).status !== 202);
});

test("clients that leave in the middle of a body leave nothing behind", { timeout: 30_000 }, async (t) => {
  const s = await serving(t, { limits: { connectionsMax: 20 } });
  for (let n = 0; n < 200; n++) {
    const socket = await dial(s.port);
    socket.write(
      "POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
    );
    if (n % 2 === 0) socket.resetAndDestroy();
    else socket.destroy();
  }
  while ((await exchange(s.port, scrape)) === "");
  assert.deepEqual([s.application.callers, s.faults], [[], []]);
});
