// Where the daemon opens connections to, and by which way: to its engines and its collector, through a proxy
// only where the configuration names one.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, setGlobalProxyFromEnv } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { type TestContext, test } from "node:test";
import tls from "node:tls";
import { type StartedFake, startFake } from "@llama-orch/engines/fake";
import { fakeProxy } from "@llama-orch/engines/fixtures/proxy";
import { selfSigned } from "@llama-orch/engines/fixtures/self-signed";
import { equalFacts, poolOf, type Running, running } from "./fixtures/running.ts";

async function engineFor(t: TestContext): Promise<StartedFake> {
  const engine = await startFake(equalFacts);
  t.after(() => engine.stop());
  return engine;
}

/** TLS in front of an engine that speaks none. */
async function securedBy(t: TestContext, { url }: StartedFake): Promise<number> {
  const front = tls.createServer(selfSigned, (socket) => {
    const onward = connect(Number(new URL(url).port), "127.0.0.1");
    socket.on("error", () => onward.destroy()).pipe(onward);
    onward.on("error", () => socket.destroy()).pipe(socket);
  });
  await once(front.listen(0, "127.0.0.1"), "listening");
  t.after(() => front.close());
  return (front.address() as AddressInfo).port;
}

async function collectorFor(t: TestContext): Promise<{ url: string; received: string[] }> {
  const received: string[] = [];
  const server = createServer((request, response) => {
    received.push(`${request.method} ${request.url}`);
    request.resume().once("end", () => response.end());
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}

const elsewhere = "haiku-elsewhere";

/** A pool behind the configured proxy at an https address, and one on this machine. */
async function withProxy(t: TestContext): Promise<void> {
  const [far, near] = [await engineFor(t), await engineFor(t)];
  const proxy = await fakeProxy({ to: await securedBy(t, far), credential: "me:hunter2" });
  t.after(() => proxy.close());
  const provisioning = { mode: "external", base_url: "https://engine.test" };
  const pools = [
    { ...poolOf([{}])(near, 0), id: "near" },
    { ...poolOf([{}], { provisioning })(far, 1), id: "far", model: elsewhere },
  ];
  const collector = await collectorFor(t);
  const network = { proxy_url: `http://me:hunter2@127.0.0.1:${proxy.port}` };
  const config = { pools, network, telemetry: { otlp_endpoint: collector.url } };
  const { client, log, stop } = await running(t, { engines: [], config });

  const { last_error } = await log.until(({ event }) => event === "replica_backing_off");
  assert.match(`${last_error}`, /engine\.test through the proxy http:.*: its certificate is not trusted/);
  const trusted = tls.getCACertificates("default");
  tls.setDefaultCACertificates([...trusted, selfSigned.cert]);
  t.after(() => tls.setDefaultCACertificates(trusted));
  await log.until(({ event, pool_id }) => event === "replica_ready" && pool_id === "far");
  await log.until(({ event, pool_id }) => event === "replica_ready" && pool_id === "near");

  await servesTask(client, { model_ref: elsewhere });
  await servesTask(client);
  await stop();
  const asked = new Set(proxy.heads.map(([line]) => line));
  assert.deepEqual([...asked], ["CONNECT engine.test:443 HTTP/1.1"]);
  assert.ok(collector.received.length > 0);
  assert.ok(!log.raw.some((line) => line.includes("hunter2")));
}

/** Node would use these variables for every call that leaves the way to it. */
async function withProxyOfTheEnvironment(t: TestContext): Promise<void> {
  const proxy = await fakeProxy({ answer: "HTTP/1.1 403 No\r\n\r\n" });
  t.after(() => proxy.close());
  const collector = await collectorFor(t);
  const config = { telemetry: { otlp_endpoint: collector.url } };
  const { url, client, stop } = await running(t, { engines: [equalFacts], config });
  const named = `http://127.0.0.1:${proxy.port}`;
  t.after(setGlobalProxyFromEnv({ http_proxy: named, https_proxy: named, no_proxy: new URL(url).host }));
  await assert.rejects(fetch(collector.url).then(({ status }) => assert.equal(status, 200)));
  const before = proxy.heads.length;
  assert.ok(before > 0, "what does not look after itself goes through it");

  await servesTask(client);
  await stop();
  assert.ok(collector.received.length > 0);
  assert.equal(proxy.heads.length, before);
}

async function servesTask(client: Running["client"], fields: object = {}): Promise<void> {
  const task = client.task(fields);
  assert.equal((await client.call("POST", "/v1/tasks", task)).status, 202);
  assert.equal((await client.frames(task.task_id)).at(-1)?.event, "end");
}

test(
  "engines elsewhere are reached through the configured proxy alone and with verified certificates, those of " +
    "this machine directly, and a proxy that is not configured is not used [OC-ADAPT-OAI-6021]",
  async (t) => {
    await withProxy(t);
    await withProxyOfTheEnvironment(t);
  },
);
