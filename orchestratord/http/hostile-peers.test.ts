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

/** Two bodies of 5000 bytes have room, or two documents in four copies; what is left is for small ones. */
const tight = { heldBytesMax: 12_000, smallBytesMax: 1000, smallRoomBytes: 1500 };
const uploadHead = (length: string) =>
  `POST /v1/artifacts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${length}\r\n\r\n`;
const upload = (name: string, bytes: number) => JSON.stringify({ name, text: "x".repeat(bytes) });

function assertTold(answer: string): void {
  assert.match(answer, /^HTTP\/1\.1 429 .*Retry-After: 1\r\n/s);
  assert.match(answer, /"code":"ADMISSION_REJECT".*"policy_label":"quota"/);
}

test("bodies that would not fit together are refused before they are read, and tasks still get in", async (t) => {
  const s = await serving(t, { limits: tight });
  const slow = await Promise.all([dial(s.port), dial(s.port)]);
  for (const socket of slow) socket.write(`${uploadHead("Content-Length: 5000")}{`);
  // Their heads are read when the server has answered somebody who came later.
  assert.equal((await s.post("/v1/tasks", taskRequest())).status, 202);
  const late = Array.from({ length: 20 }, () =>
    exchange(s.port, `${uploadHead("Connection: close\r\nContent-Length: 5000")}`),
  );
  for (const answer of await Promise.all(late)) assertTold(answer);
  assertTold(await exchange(s.port, uploadHead("Connection: close\r\nTransfer-Encoding: chunked")));
  assert.equal((await s.post("/v1/tasks", taskRequest({ task_id: "poem-2" }))).status, 202);
  for (const socket of slow) socket.destroy();
  while ((await s.post("/v1/artifacts", upload("late", 4000))).status !== 201);
});

test("a body has its room until its document is stored", async (t) => {
  const s = await serving(t, { limits: tight });
  const { artifacts } = s.application;
  const { put } = artifacts;
  const disk = Promise.withResolvers<void>();
  const writing = Promise.withResolvers<void>();
  let written = 0;
  artifacts.put = async (one) => {
    if (++written === 2) writing.resolve();
    await disk.promise;
    return put(one);
  };
  const first = [s.post("/v1/artifacts", upload("a", 4900)), s.post("/v1/artifacts", upload("b", 4900))];
  await writing.promise;
  assert.equal((await s.post("/v1/artifacts", upload("c", 4900))).status, 429);
  disk.resolve();
  for (const answer of await Promise.all(first)) assert.equal(answer.status, 201);
  assert.equal((await s.post("/v1/artifacts", upload("c", 4900))).status, 201);
});

test("documents that would not fit together are refused before they are read", async (t) => {
  const s = await serving(t, { limits: tight });
  const { id } = (await (await s.post("/v1/artifacts", upload("a", 1100))).json()) as { id: string };
  const { artifacts } = s.application;
  const { get } = artifacts;
  const disk = Promise.withResolvers<void>();
  let reads = 0;
  artifacts.get = async (tenantId, artifactId) => {
    reads++;
    await disk.promise;
    return get(tenantId, artifactId);
  };
  const answers = Array.from({ length: 20 }, () => s.fetch(`/v1/artifacts/${id}`));
  for (let refused = 0; refused < 18; ) {
    const { status, n } = await Promise.race(
      answers.map(async (answer, n) => ({ status: (await answer).status, n })),
    );
    assert.equal(status, 429);
    answers.splice(n, 1);
    refused++;
  }
  assert.equal(reads, 2);
  disk.resolve();
  for (const answer of await Promise.all(answers)) assert.equal((await answer.text()).length, 1122);
  assert.equal((await s.fetch(`/v1/artifacts/${id}`)).status, 200);
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
