import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../clock.ts";
import { MemoryApplication } from "./fixtures/memory-application.ts";
import { selfSigned } from "./fixtures/self-signed.ts";
import {
  configOf,
  dial,
  type ServingOptions,
  serving,
  taskRequest,
  wholeAnswer,
} from "./fixtures/serving.ts";
import { createServer } from "./server.ts";

const silent = { auth() {}, fault() {} };
const build = (options: ServingOptions) =>
  createServer({
    application: new MemoryApplication(),
    config: configOf(options),
    log: silent,
    clock: systemClock(),
  });

/** Not one of those that the system gives out: another test could be given it before it is used. */
async function freePort(): Promise<number> {
  for (let port = 20_000 + (process.pid % 10_000); ; port++) {
    const probe = createTcpServer();
    const free = await new Promise<boolean>((resolve) => {
      probe.once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => resolve(true));
    });
    probe.close();
    if (free) return port;
  }
}

test("a stop lets a request finish, refuses new connections and ends idle ones", async (t) => {
  const s = await serving(t);
  const idle = await dial(s.port);
  const busy = await dial(s.port);
  const body = JSON.stringify(taskRequest());
  busy.write(
    `POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n{`,
  );
  await s.fetch("/metrics");
  const text = wholeAnswer(busy);
  const gone = wholeAnswer(idle);
  const closed = s.server.close();
  await assert.rejects(dial(s.port));
  busy.write(body.slice(1));
  assert.match(await text, /^HTTP\/1\.1 202 /);
  assert.equal(await gone, "");
  await closed;
});

test("a stop does not wait for peers that never finish", async (t) => {
  const s = await serving(t, { limits: { closeMs: 50 } });
  const socket = await dial(s.port);
  socket.write(
    "POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
  );
  await s.fetch("/metrics");
  const text = wholeAnswer(socket);
  await s.server.close();
  assert.equal(await text, "");
});

test("an address that is taken is Node's own error, and nothing is left listening", async () => {
  const holder = createTcpServer().listen(0, "127.0.0.1");
  await once(holder, "listening");
  const { port } = holder.address() as AddressInfo;
  const free = await freePort();
  const environment = { ORCHD_ADDR: `127.0.0.1:${free}`, PROMETHEUS_METRICS_PORT: String(port) };
  await assert.rejects(build({ environment }).listen(), { code: "EADDRINUSE" });
  await assert.rejects(dial(free));
  holder.close();
});

test("localhost and [::1] are addresses to listen on", async (t) => {
  for (const host of ["localhost", "[::1]"]) {
    const s = await serving(t, { environment: { ORCHD_ADDR: `${host}:0` } });
    assert.equal((await s.fetch("/metrics")).status, 200);
    assert.equal((await s.fetch("/v1/capabilities")).status, 200);
  }
});

test("the extra metrics port serves the metrics and nothing else", async (t) => {
  const port = await freePort();
  const s = await serving(t, {
    environment: { PROMETHEUS_METRICS_PORT: String(port), ORCHD_API_KEYS: "valid" },
  });
  const url = s.server.metricsUrl as string;
  assert.equal(url, `http://127.0.0.1:${port}`);
  assert.equal((await fetch(`${url}/metrics`)).status, 200);
  const headers = { "X-API-Key": "valid" };
  assert.equal((await fetch(`${url}/v1/capabilities`, { headers })).status, 404);
});

test("with a certificate the same routes are served over TLS, and a file that is none says so at the start", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "orchestratord-tls-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const [cert_file, key_file] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  writeFileSync(cert_file, selfSigned.cert);
  writeFileSync(key_file, selfSigned.key);

  const s = await serving(t, { file: { tls: { cert_file, key_file } } });
  const request = get(`${s.url.replace("127.0.0.1", "localhost")}/metrics`, {
    ca: selfSigned.cert,
    agent: false,
  });
  const [answer] = await once(request, "response");
  assert.equal(answer.statusCode, 200);
  assert.equal(answer.headers["content-type"], "text/plain; version=0.0.4");
  answer.resume();
  assert.match(s.url, /^https:/);

  const absent = join(folder, "none.pem");
  assert.throws(
    () => build({ file: { tls: { cert_file: absent, key_file } } }),
    /tls\.cert_file: .*none\.pem cannot be read \(ENOENT\)/,
  );
  assert.throws(
    () => build({ file: { tls: { cert_file: key_file, key_file } } }),
    /no PEM certificate and its private key/,
  );
});
