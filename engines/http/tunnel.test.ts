import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, createServer as createNetServer } from "node:net";
import { after, type TestContext, test } from "node:test";
import tls from "node:tls";
import { promisify } from "node:util";
import { type FakeProxyOptions, fakeProxy } from "./fixtures/proxy.ts";
import { selfSigned } from "./fixtures/self-signed.ts";
import { HttpClient, type HttpClientOptions } from "./http-client.ts";
import type { HttpFailure } from "./http-failure.ts";

const signal = () => AbortSignal.timeout(10_000);
/** Where no limit may end what something else must. */
const limits = { connectMs: 60_000 };
const soon = { timeout: 10_000 };
const get = { method: "GET", path: "/x", idempotent: true } as const;

/** For as long as a test runs, or from now on, this process trusts the certificate of the tests. */
const trusted = tls.getCACertificates("default");
const trust = () => tls.setDefaultCACertificates([...trusted, selfSigned.cert]);
const distrust = () => tls.setDefaultCACertificates(trusted);
after(distrust);

async function engine(test: TestContext, isSecure = false): Promise<{ port: number; seen: string[] }> {
  const seen: string[] = [];
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    seen.push(`${request.method} ${request.headers.host}${request.url}`);
    assert.equal(request.headers["proxy-authorization"], undefined);
    if (request.url !== "/endless") response.end("{}");
    else response.write("a");
  };
  const server = isSecure ? createSecureServer(selfSigned, answer) : createServer(answer);
  await once(server.listen(0, "127.0.0.1"), "listening");
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, seen };
}

async function proxyFor(test: TestContext, options: FakeProxyOptions) {
  const proxy = await fakeProxy(options);
  test.after(() => proxy.close());
  return proxy;
}

function client(test: TestContext, options: Omit<HttpClientOptions, "seed">): HttpClient {
  const made = new HttpClient({ seed: 1, wait: async () => {}, ...options });
  test.after(() => made.close());
  return made;
}

/** Both kinds of calls must fail alike: in this way, naming the proxy, and never its password. */
async function bothFail(made: HttpClient, kind: HttpFailure["kind"], says: RegExp): Promise<void> {
  const fits = (error: HttpFailure) => {
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, says);
    assert.doesNotMatch(error.message, /hunter2|bWU6/);
    return true;
  };
  await assert.rejects(made.call({ ...get, idempotent: false }, signal()), fits);
  await assert.rejects(made.open("/s", {}, 5_000, signal()), fits);
}

for (const [scheme, through] of [
  ["http", "http"],
  ["https", "http"],
  ["http", "https"],
  ["https", "https"],
] as const) {
  test(`plain calls and streams reach an ${scheme} engine through an ${through} proxy that is configured`, async (t) => {
    trust();
    t.after(distrust);
    const { port, seen } = await engine(t, scheme === "https");
    const proxy = await proxyFor(t, { isSecure: through === "https", to: port, credential: "me:p@ss:%" });
    const proxyUrl = `${through}://me:p%40ss%3A%25@127.0.0.1:${proxy.port}`;
    const made = client(t, { url: `${scheme}://engine.test:81/r1`, proxyUrl });
    for (let calls = 0; calls < 4; calls += 1) {
      assert.equal((await made.call(get, signal())).text, "{}");
    }
    const stream = await made.open("/s", {}, 5_000, signal());
    assert.equal(stream.status, 200);
    assert.equal(await stream.text(10), "{}");
    const plain = Array(4).fill("GET engine.test:81/r1/x");
    assert.deepEqual(seen, [...plain, "POST engine.test:81/r1/s"]);
    const asked = new Set(proxy.heads.map(([line]) => line));
    assert.deepEqual([...asked], ["CONNECT engine.test:81 HTTP/1.1"]);
    // A connection may not be free yet when the next call comes, so plain calls may have two.
    assert.ok(proxy.heads.length <= 3, String(proxy.heads.length));
  });
}

test("the port that a URL leaves out is named to the proxy, and an IPv6 address keeps its brackets", async (t) => {
  const proxy = await proxyFor(t, { answer: "HTTP/1.1 403 No\r\n\r\n" });
  const proxyUrl = `http://127.0.0.1:${proxy.port}`;
  for (const url of ["http://engine.test", "https://engine.test", "http://[2001:db8::1]"]) {
    const made = client(t, { url, proxyUrl });
    await bothFail(made, "proxy_refused", /^The proxy http:\/\/127\.0\.0\.1:\d+: .*403/);
  }
  const lines = new Set(proxy.heads.map((head) => head.join("|")));
  const line = (authority: string) => `CONNECT ${authority} HTTP/1.1|host: ${authority}`;
  assert.deepEqual([...lines], ["engine.test:80", "engine.test:443", "[2001:db8::1]:80"].map(line));
});

test("a proxy that wants another credential says so, once, and the credential is in no text", async (t) => {
  const proxy = await proxyFor(t, { credential: "me:other" });
  const proxyUrl = `http://me:hunter2@127.0.0.1:${proxy.port}`;
  const made = client(t, { url: "http://engine.test", proxyUrl });
  await bothFail(made, "proxy_refused", /^The proxy .*407.*network\.proxy_url/);
  await assert.rejects(made.call(get, signal()));
  assert.equal(proxy.heads.length, 3, "what was refused is not asked again");
  const basic = Buffer.from("me:hunter2").toString("base64");
  assert.doesNotMatch(made.redact(`it echoes ${basic} and hunter2`), /hunter2|bWU6/);
});

test("a proxy that is not there, breaks, talks nonsense or finds no engine is named", async (t) => {
  const gone = await fakeProxy({});
  await gone.close();
  const cases = [
    [gone, "refused", /nobody listens there/],
    [await proxyFor(t, { answer: "" }), "reset", /it was closed/],
    [await proxyFor(t, { answer: "SSH-2.0\r\n\r\n" }), "reset", /no HTTP/],
    [
      await proxyFor(t, { answer: "HTTP/1.1 502 No\r\n\r\n" }),
      "unreachable",
      /502 to CONNECT engine\.test:80/,
    ],
  ] as const;
  for (const [{ port }, kind, says] of cases) {
    const made = client(t, { url: "http://engine.test", proxyUrl: `http://me:hunter2@127.0.0.1:${port}` });
    await bothFail(made, kind, new RegExp(`^The proxy http://127\\.0\\.0\\.1:${port}: .*${says.source}`));
  }
});

test("a proxy that never answers, or an engine behind it that never says a word of TLS, has the connect limit", async (t) => {
  const mute = createNetServer((socket) => socket.on("error", () => {}).resume());
  await once(mute.listen(0, "127.0.0.1"), "listening");
  t.after(() => mute.close());
  const short = { connectMs: 40 };
  const silent = await proxyFor(t, { answer: null });
  const first = client(t, {
    url: "http://engine.test",
    proxyUrl: `http://127.0.0.1:${silent.port}`,
    limits: short,
  });
  await bothFail(first, "connect_timeout", /^The proxy http:\/\/127\.0\.0\.1:\d+: .*40 ms/);
  const open = await proxyFor(t, { to: (mute.address() as AddressInfo).port });
  const second = client(t, {
    url: "https://engine.test",
    proxyUrl: `http://127.0.0.1:${open.port}`,
    limits: short,
  });
  await bothFail(second, "connect_timeout", /^https:\/\/engine\.test through the proxy http:/);
});

test("the wait for a tunnel is a part of the wait for the first byte", async (t) => {
  const mute = createNetServer((socket) => socket.on("error", () => {}).resume());
  await once(mute.listen(0, "127.0.0.1"), "listening");
  t.after(() => mute.close());
  const proxy = await proxyFor(t, { to: (mute.address() as AddressInfo).port, delayMs: 20 });
  const made = client(t, { url: "http://engine.test", proxyUrl: `http://127.0.0.1:${proxy.port}` });
  await assert.rejects(made.open("/s", {}, 60, signal()), ({ kind, message }: HttpFailure) => {
    // What the tunnel took is not waited for again.
    const waited = Number(/\((\d+) ms\)/.exec(message)?.[1]);
    return kind === "timeout" && waited <= 41;
  });
});

test(
  "an abort gives a tunnel up while it is dug and while it is used, and leaves no connection",
  soon,
  async (t) => {
    const { port } = await engine(t);
    const reason = new Error("enough");
    const silent = await proxyFor(t, { answer: null });
    const digging = new AbortController();
    const dug = client(t, { url: "http://engine.test", proxyUrl: `http://127.0.0.1:${silent.port}`, limits });
    const opening = dug.open("/s", {}, 60_000, digging.signal);
    while (silent.heads.length === 0) await new Promise(setImmediate);
    digging.abort(reason);
    await assert.rejects(opening, reason);
    const proxy = await proxyFor(t, { to: port });
    const made = client(t, { url: "http://engine.test", proxyUrl: `http://127.0.0.1:${proxy.port}` });
    const using = new AbortController();
    const stream = await made.open("/endless", {}, 5_000, using.signal);
    await assert.rejects(async () => {
      for await (const _ of stream) using.abort(reason);
    }, reason);
    while (silent.open() + proxy.open() > 0) await new Promise(setImmediate);
  },
);

test("a client that is closed gives up the tunnel its pool is digging", soon, async (t) => {
  const silent = await proxyFor(t, { answer: null });
  const made = client(t, { url: "http://engine.test", proxyUrl: `http://127.0.0.1:${silent.port}`, limits });
  const calling = made.call({ ...get, idempotent: false }, signal());
  while (silent.heads.length === 0) await new Promise(setImmediate);
  await Promise.all([assert.rejects(calling, { kind: "reset" }), made.close()]);
  while (silent.open() > 0) await new Promise(setImmediate);
});

test(
  "so many calls at once have no more connections than are allowed, those in the making included",
  soon,
  async (t) => {
    const { port, seen } = await engine(t);
    const proxy = await proxyFor(t, { to: port, delayMs: 2 });
    const proxyUrl = `http://127.0.0.1:${proxy.port}`;
    const made = client(t, { url: "http://engine.test", proxyUrl, limits: { ...limits, idlePerOrigin: 4 } });
    const answers = await Promise.all(Array.from({ length: 60 }, () => made.call(get, signal())));
    assert.ok(answers.every(({ status }) => status === 200));
    assert.equal(seen.length, 60);
    assert.equal(proxy.heads.length, 4);
  },
);

test("a call that is given up leaves its turn and its tunnel to nobody's cost", soon, async (t) => {
  const silent = await proxyFor(t, { answer: null });
  const proxyUrl = `http://127.0.0.1:${silent.port}`;
  const made = client(t, { url: "http://engine.test", proxyUrl, limits: { ...limits, idlePerOrigin: 2 } });
  const reason = new Error("enough");
  const calling = Array.from({ length: 4 }, () => {
    const given = new AbortController();
    return { given, ended: assert.rejects(made.call({ ...get, idempotent: false }, given.signal), reason) };
  });
  while (silent.heads.length < 2) await new Promise(setImmediate);
  const [first, second, third, fourth] = calling;
  // One that waits for its turn, then one whose tunnel is dug: the last one gets its turn.
  third?.given.abort(reason);
  await third?.ended;
  first?.given.abort(reason);
  await first?.ended;
  while (silent.heads.length < 3) await new Promise(setImmediate);
  for (const { given } of [second, fourth].filter((call) => call !== undefined)) given.abort(reason);
  await Promise.all(calling.map(({ ended }) => ended));
  while (silent.open() > 0) await new Promise(setImmediate);
  assert.equal(silent.heads.length, 3);
});

test("a call that waits for its turn waits no longer than a call may take", soon, async (t) => {
  const silent = await proxyFor(t, { answer: null });
  const proxyUrl = `http://127.0.0.1:${silent.port}`;
  const made = client(t, { url: "http://engine.test", proxyUrl, limits: { ...limits, idlePerOrigin: 1 } });
  const given = new AbortController();
  const first = assert.rejects(made.call(get, given.signal));
  const late = made.call({ ...get, totalMs: 20 }, signal());
  await assert.rejects(late, { kind: "timeout" });
  given.abort();
  await first;
});

test("an engine on this machine is never asked through a proxy", async (t) => {
  const { port, seen } = await engine(t);
  const proxy = await proxyFor(t, { answer: "HTTP/1.1 403 No\r\n\r\n" });
  for (const host of ["127.0.0.1", "localhost"]) {
    const made = client(t, { url: `http://${host}:${port}`, proxyUrl: `http://127.0.0.1:${proxy.port}` });
    assert.equal((await made.call(get, signal())).status, 200);
    await (await made.open("/s", {}, 5_000, signal())).text(10);
  }
  assert.equal(seen.length, 4);
  assert.equal(proxy.heads.length, 0);
});

test("a certificate that nobody vouches for is refused, by whatever way, until its authority is trusted", async (t) => {
  const { port } = await engine(t, true);
  const proxy = await proxyFor(t, { to: port });
  const secureProxy = await proxyFor(t, { isSecure: true, to: port });
  const straight = { url: `https://127.0.0.1:${port}` };
  const tunnelled = { url: "https://engine.test", proxyUrl: `http://127.0.0.1:${proxy.port}` };
  const secured = { url: "http://engine.test", proxyUrl: `https://127.0.0.1:${secureProxy.port}` };
  const other = { url: "https://other.test", proxyUrl: `http://127.0.0.1:${proxy.port}` };
  // What switches it off everywhere else in Node switches off nothing here.
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
  t.after(() => {
    delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    distrust();
  });
  await bothFail(client(t, straight), "untrusted", /not trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\)/);
  await bothFail(
    client(t, tunnelled),
    "untrusted",
    /^https:\/\/engine\.test through the proxy .*not trusted/,
  );
  await bothFail(client(t, secured), "untrusted", /^The proxy https:.*not trusted/);
  trust();
  for (const options of [straight, tunnelled]) {
    const made = client(t, options);
    assert.equal((await made.call(get, signal())).status, 200);
    assert.equal(await (await made.open("/s", {}, 5_000, signal())).text(10), "{}");
  }
  await bothFail(client(t, other), "untrusted", /ERR_TLS_CERT_ALTNAME_INVALID/);
});

test("a proxy of the environment is not used", async (t) => {
  const { port, seen } = await engine(t);
  const proxy = await proxyFor(t, { answer: "HTTP/1.1 403 No\r\n\r\n" });
  const module = JSON.stringify(new URL("./http-client.ts", import.meta.url));
  const program = `
    import { HttpClient } from ${module};
    const made = new HttpClient({ url: "http://127.0.0.1:${port}", seed: 1 });
    const { signal } = new AbortController();
    await made.call({ method: "GET", path: "/x", idempotent: false }, signal);
    await (await made.open("/s", {}, 5000, signal)).text(10);
    await made.close();`;
  const named = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].flatMap((name) => [name, name.toLowerCase()]);
  const proxies = Object.fromEntries(named.map((name) => [name, `http://127.0.0.1:${proxy.port}`]));
  const env = { ...process.env, ...proxies, NODE_USE_ENV_PROXY: "1", NO_PROXY: "", no_proxy: "" };
  await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], { env });
  assert.equal(seen.length, 2);
  assert.equal(proxy.heads.length, 0);
});
