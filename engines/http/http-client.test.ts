import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createNetServer } from "node:net";
import { test } from "node:test";
import { HttpClient, type HttpClientOptions, type Retry } from "./http-client.ts";
import type { HttpFailure } from "./http-failure.ts";

const signal = () => AbortSignal.timeout(10_000);

async function serving(
  listener: RequestListener,
  use: (client: HttpClient, url: string, waited: number[]) => Promise<void>,
  options: Partial<HttpClientOptions> = {},
): Promise<void> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const waited: number[] = [];
  const wait = async (ms: number) => void waited.push(ms);
  const client = new HttpClient({ url, seed: 1, wait, ...options });
  try {
    await use(client, url, waited);
  } finally {
    await client.close();
    server.closeAllConnections();
    server.close();
  }
}

function failing(kind: HttpFailure["kind"]): (error: HttpFailure) => boolean {
  return (error) => {
    assert.equal(error.kind, kind, error.message);
    return true;
  };
}

const get = { method: "GET", path: "/x", idempotent: true } as const;

test("an idempotent call is tried four times with growing room for jitter, any other once [HTU-1002]", async () => {
  let calls = 0;
  const busy = (_: IncomingMessage, response: ServerResponse) => {
    calls += 1;
    response.writeHead(503).end("busy");
  };
  await serving(busy, async (client, _url, waited) => {
    assert.deepEqual((await client.call(get, signal())).status, 503);
    assert.equal(calls, 4);
    assert.equal(waited.length, 3);
    for (const [retry, ms] of waited.entries()) assert.ok(ms < 100 * 2 ** retry);
    await client.call({ ...get, idempotent: false }, signal());
    assert.equal(calls, 5);
  });
});

test("before each retry it is told which call, how often, after how long and why; a last failure is none", async () => {
  const told: Retry[] = [];
  const statuses = [503, 429, 200];
  await serving(
    (request, response) => {
      if (request.url === "/broken") request.socket.destroy();
      else response.writeHead(statuses.shift() ?? 500).end();
    },
    async (client, _url, waited) => {
      await client.call(get, signal());
      await assert.rejects(client.call({ ...get, path: "/broken" }, signal()), failing("reset"));
      const what = told.map(({ call, retry, why }) => [call, retry, why]);
      assert.deepEqual(what, [
        ["GET /x", 1, 503],
        ["GET /x", 2, 429],
        ["GET /broken", 1, "reset"],
        ["GET /broken", 2, "reset"],
        ["GET /broken", 3, "reset"],
      ]);
      assert.deepEqual(
        told.map(({ waitMs }) => waitMs),
        waited,
      );
    },
    { onRetry: (retry) => told.push(retry) },
  );
});

test("a refusal is not asked for again, and Retry-After is honoured", async () => {
  const statuses = [400, 401, 403, 404, 422, 429, 200];
  await serving(
    (_request, response) => response.writeHead(statuses.shift() ?? 500, { "retry-after": "2" }).end(),
    async (client, _url, waited) => {
      for (const status of [400, 401, 403, 404, 422, 200]) {
        assert.equal((await client.call(get, signal())).status, status);
      }
      assert.deepEqual(waited, [2_000]);
    },
  );
});

test("plain calls share their connections, and a stream has one of its own", async () => {
  const ports: (number | undefined)[] = [];
  await serving(
    (request, response) => {
      ports.push(request.socket.remotePort);
      response.end("{}");
    },
    async (client) => {
      for (let calls = 0; calls < 6; calls += 1) await client.call(get, signal());
      // An answer may be read to its end before its connection is free again, so there may be two.
      const shared = new Set(ports);
      assert.ok(shared.size <= 2, String(ports));
      const stream = await client.open("/s", {}, 1_000, signal());
      assert.equal(await stream.text(100), "{}");
      assert.ok(!shared.has(ports.at(-1)));
    },
  );
});

test("a path in front of every path is kept, and the key goes with every call", async () => {
  const seen: (string | undefined)[] = [];
  await serving(
    (request, response) => {
      seen.push(request.url, request.headers.authorization);
      response.end("{}");
    },
    async (_client, url) => {
      const relayed = new HttpClient({ url: `${url}/relay/r1/`, seed: 1, apiKey: "a-key" });
      await relayed.call(get, signal());
      await (await relayed.open("/s", {}, 1_000, signal())).text(10);
      await relayed.close();
      assert.deepEqual(seen, ["/relay/r1/x", "Bearer a-key", "/relay/r1/s", "Bearer a-key"]);
    },
  );
});

test("an answer that does not come in time, or is too large, is a failure that is not repeated", async () => {
  let calls = 0;
  await serving(
    (request, response) => {
      calls += 1;
      if (request.url === "/large") response.end("x".repeat(2_000));
    },
    async (client) => {
      await assert.rejects(client.call({ ...get, totalMs: 30 }, signal()), failing("timeout"));
      await assert.rejects(client.call({ ...get, path: "/large" }, signal()), failing("too_large"));
      const stream = await client.open("/large", {}, 1_000, signal());
      await assert.rejects(stream.text(1_000), failing("too_large"));
      assert.equal(calls, 3);
    },
    { limits: { answerBytes: 1_000 } },
  );
});

test("where nobody listens, and where the connection breaks, the failure says which", async () => {
  const nobody = new HttpClient({ url: "http://127.0.0.1:1", seed: 1, wait: async () => {} });
  await assert.rejects(nobody.call(get, signal()), failing("refused"));
  await assert.rejects(nobody.open("/s", {}, 1_000, signal()), failing("refused"));
  await nobody.close();
  const address = new HttpClient({ url: "http://[::1]:1", seed: 1 });
  // Whether or not this machine speaks IPv6, it is no name to be looked up.
  await assert.rejects(address.open("/s", {}, 1_000, signal()), ({ message }) => !/ENOTFOUND/.test(message));
  await address.close();
  await serving(
    (request) => request.socket.destroy(),
    async (client, _url, waited) => {
      await assert.rejects(client.call(get, signal()), failing("reset"));
      assert.equal(waited.length, 3);
      await assert.rejects(client.open("/s", {}, 1_000, signal()), failing("reset"));
    },
  );
});

test("an answer that is none is a broken connection", async () => {
  for (const answer of ["HTTP/1.1 101 No\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "What?\r\n\r\n"]) {
    const server = createNetServer((socket) => socket.on("error", () => {}).end(answer));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const client = new HttpClient({ url, seed: 1 });
    await assert.rejects(client.open("/s", {}, 5_000, signal()), failing("reset"));
    await client.close();
    server.close();
  }
});

test("a connection that is not made in time is a failure of its own", async () => {
  // It takes connections and never says a word of TLS.
  const mute = createNetServer().listen(0, "127.0.0.1");
  await once(mute, "listening");
  const url = `https://127.0.0.1:${(mute.address() as AddressInfo).port}`;
  const client = new HttpClient({ url, seed: 1, limits: { connectMs: 30 } });
  const connected = once(mute, "connection");
  await assert.rejects(client.open("/s", {}, 5_000, signal()), failing("connect_timeout"));
  const [socket] = await connected;
  if (!socket.closed) await once(socket.resume(), "close");
  await client.close();
  mute.close();
});

test("a stream has limits to its first byte and, as its reader says, to what comes next [ORCH-3276]", async () => {
  await serving(
    (request, response) => {
      if (request.url === "/silent") return;
      response.write("a");
    },
    async (client) => {
      await assert.rejects(client.open("/silent", {}, 30, signal()), failing("timeout"));
      const stream = await client.open("/s", {}, 5_000, signal());
      await assert.rejects(async () => {
        for await (const piece of stream) {
          assert.equal(Buffer.from(piece).toString(), "a");
          stream.expectWithin(30);
        }
      }, failing("timeout"));
    },
  );
});

test("a stream that has broken leaves no timer, whatever its reader still hopes for", async () => {
  const broken = Promise.withResolvers<void>();
  await serving(
    (_request, response) => {
      response.write("a");
      response.socket?.once("close", broken.resolve);
      setImmediate(() => response.socket?.resetAndDestroy());
    },
    async (client) => {
      const stream = await client.open("/s", {}, 5_000, signal());
      await broken.promise;
      for (let turns = 0; turns < 100; turns += 1) await new Promise(setImmediate);
      stream.expectWithin(4_000);
      assert.ok(!process.getActiveResourcesInfo().includes("Timeout"));
    },
  );
});

test("an abort closes the socket at once, before the answer and in the middle of it", async () => {
  const closed: Promise<unknown>[] = [];
  await serving(
    (request, response) => {
      closed.push(once(request.socket, "close"));
      if (request.url === "/s") response.write("a");
    },
    async (client) => {
      const reason = new Error("enough");
      const early = new AbortController();
      const opening = client.open("/silent", {}, 5_000, early.signal);
      setImmediate(() => early.abort(reason));
      await assert.rejects(opening, reason);
      const late = new AbortController();
      const stream = await client.open("/s", {}, 5_000, late.signal);
      await assert.rejects(async () => {
        for await (const _ of stream) late.abort(reason);
      }, reason);
      const leaving = await client.open("/s", {}, 5_000, signal());
      for await (const _ of leaving) break;
      await Promise.all(closed);
      assert.ok(closed.length >= 2);
    },
  );
});

test("what is read late comes in one piece, and a slow reader stops the sender", async () => {
  const total = 16 << 20;
  await serving(
    (_request, response) => response.end(Buffer.alloc(total)),
    async (client) => {
      const stream = await client.open("/s", {}, 5_000, signal());
      const sizes: number[] = [];
      for await (const piece of stream) {
        sizes.push(piece.length);
        for (let turns = 0; turns < 100; turns += 1) await new Promise(setImmediate);
      }
      assert.equal(
        sizes.reduce((sum, size) => sum + size, 0),
        total,
      );
      assert.ok(Math.max(...sizes) > 1 << 20, String(sizes));
      assert.ok(Math.max(...sizes) < 2 << 20, String(sizes));
    },
  );
});
