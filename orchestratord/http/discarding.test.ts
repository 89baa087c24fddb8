// Uploads that are refused before they were read, on connections that end with the refusal: whoever sends
// all of its body before it listens reads the answer nevertheless, and nobody can use that to hold a
// connection for long.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { selfSigned } from "./fixtures/self-signed.ts";
import { dial, exchange, type ServingOptions, serving, wholeAnswer } from "./fixtures/serving.ts";

/** More than the kernels of both sides keep for a peer that does not listen. */
const bodyBytes = 24 << 20;
const piece = "x".repeat(1 << 20);

/** Sends all before it reads anything, as simple clients do; an error meanwhile leaves it with nothing. */
async function answerAfterAll(socket: Socket, head: string, frame = (text: string) => text): Promise<string> {
  socket.pause();
  socket.write(`${head}\r\n\r\n`);
  for (let sent = 0; sent < bodyBytes && !socket.destroyed; sent += piece.length) {
    await new Promise((resolve) => socket.write(frame(piece), resolve));
  }
  return wholeAnswer(socket.resume());
}

const headTo = (path: string, ...more: string[]) =>
  [`POST ${path} HTTP/1.1`, "Host: localhost", "Connection: close", ...more].join("\r\n");
const json = "Content-Type: application/json";
const announced = `Content-Length: ${bodyBytes}`;
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

test("a client reads why its upload is refused although it goes on sending and the connection ends", async (t) => {
  const { port } = await serving(t, { limits: { heldBytesMax: 9000, smallRoomBytes: 0 } });
  const ask = async (head: string, frame?: typeof chunk) => answerAfterAll(await dial(port), head, frame);
  assert.match(await ask(headTo("/v1/artifacts", json, announced)), /^HTTP\/1\.1 413 .*Connection: close/s);
  const chunked = headTo("/v1/artifacts", json, "Transfer-Encoding: chunked");
  assert.match(await ask(chunked, chunk), /^HTTP\/1\.1 429 .*"policy_label":"quota"/s);
  assert.match(await ask(headTo("/v1/tasks", "Content-Type: text/plain", announced)), /^HTTP\/1\.1 415 /);
  assert.match(await ask(headTo("/nowhere", json, announced)), /^HTTP\/1\.1 404 /);
  const old = headTo("/v1/artifacts", json, announced).replace("HTTP/1.1", "HTTP/1.0");
  assert.match(await ask(old), /^HTTP\/1\.1 413 /);
});

test("so does one without a key, and one that comes over TLS", async (t) => {
  const keys = { ORCHD_API_KEYS: "key-of-a-client-1" };
  const { port } = await serving(t, { environment: keys });
  const head = headTo("/v1/artifacts", json, announced);
  assert.match(await answerAfterAll(await dial(port), head), /^HTTP\/1\.1 401 /);
  const secure = await serving(t, { file: { tls: certificate(t) } });
  const socket = connectTls({
    port: secure.port,
    host: "127.0.0.1",
    ca: selfSigned.cert,
    servername: "localhost",
  });
  socket.on("error", () => socket.destroy());
  await once(socket, "secureConnect");
  assert.match(await answerAfterAll(socket, head), /^HTTP\/1\.1 413 /);
});

test("so does one whose bytes are no request, and a body that goes wrong gives its room back at once", async (t) => {
  const s = await serving(t, { limits: { heldBytesMax: 17 << 20, smallRoomBytes: 0 } });
  const ask = async (head: string) => answerAfterAll(await dial(s.port), head);
  assert.match(await ask(headTo("/v1/artifacts", `X-Long: ${"x".repeat(20_000)}`)), /^HTTP\/1\.1 431 /);
  assert.match(await ask("this is no HTTP"), /^HTTP\/1\.1 400 /);
  const socket = await dial(s.port);
  socket.allowHalfOpen = true;
  socket.write(`${headTo("/v1/artifacts", json, "Transfer-Encoding: chunked")}\r\n\r\nno length\r\n`);
  assert.match(String(await once(socket, "data")), /^HTTP\/1\.1 400 /);
  while ((await s.post("/v1/artifacts", { text: piece.repeat(2) })).status !== 201);
  socket.destroy();
});

function certificate(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "orchestratord-tls-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  return { cert_file: write("cert.pem", selfSigned.cert), key_file: write("key.pem", selfSigned.key) };
}

const scrape = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/** Refused, with its answer read; its body is still to come. It has the only connection there is. */
async function refused(t: TestContext, limits: ServingOptions["limits"]) {
  const s = await serving(t, { limits: { ...limits, connectionsMax: 1 } });
  const socket = await dial(s.port);
  const ended = once(socket, "end");
  socket.allowHalfOpen = true;
  socket.write(`${headTo("/v1/artifacts", json, announced)}\r\n\r\n`);
  assert.match(String(await once(socket, "data")), /^HTTP\/1\.1 413 /);
  await ended;
  return { s, socket };
}

test("a refused client that neither sends on nor leaves is cut off in time", async (t) => {
  const { s, socket } = await refused(t, { lingerMs: 100 });
  while ((await exchange(s.port, scrape)) === "");
  socket.destroy();
});

test("a refused client that sends without end is cut off", async (t) => {
  const { s, socket } = await refused(t, { discardedBytesMax: 2 << 20 });
  let sent = 0;
  for (; !socket.destroyed; sent += piece.length) await new Promise((go) => socket.write(piece, go));
  assert.ok(sent < bodyBytes);
  while ((await exchange(s.port, scrape)) === "");
});

test("a refused client that has sent its body is let go, and one that leaves takes its connection along", async (t) => {
  const first = await refused(t, {});
  for (let sent = 0; sent < bodyBytes; sent += piece.length) first.socket.write(piece);
  while ((await exchange(first.s.port, scrape)) === "");
  first.socket.destroy();
  const second = await refused(t, {});
  second.socket.end();
  while ((await exchange(second.s.port, scrape)) === "");
  const third = await refused(t, {});
  third.socket.resetAndDestroy();
  while ((await exchange(third.s.port, scrape)) === "");
});

test("a stop does not wait for a refused client", async (t) => {
  const { s, socket } = await refused(t, { closeMs: 60_000 });
  await s.server.close();
  // The address is gone, and whoever still sends there hears so.
  while (!socket.destroyed) await new Promise((resolve) => socket.write(piece, resolve));
});
