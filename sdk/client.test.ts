import assert from "node:assert/strict";
import { test } from "node:test";
import { type ErrorCode, errorTable, faces, OrchError, type TaskRequest } from "@llama-orch/contract";
import { type Client, createClient } from "./client.ts";
import { UnexpectedReplyError, UnreachableError } from "./faults.ts";
import { sendError, type WireCall, WireServer } from "./fixtures/wire-server.ts";

const rows = [...faces.orchqueue.routes, ...faces.operator.routes];

test("the client has one method for each route of the contract, and no other besides run", () => {
  const methods = Object.keys(createClient({ baseUrl: "http://127.0.0.1:8080" }));
  assert.deepEqual(methods.sort(), [...rows.map(({ id }) => id), "run"].sort());
});

test("each method speaks to its own route and hands over the body of the answer", async () => {
  await using server = await WireServer.start();
  const client = createClient({ baseUrl: `${server.url}/` });
  for (const route of rows) {
    if (route.id === "streamTask") continue;
    const method = client[route.id as keyof Client] as (...input: unknown[]) => Promise<unknown>;
    const input = [
      ...(route.path.includes("{id}") ? ["hf:a/b c"] : []),
      ...(route.body ? [route.body.example] : []),
    ];
    const answer = await method(...input);
    const [reply] = Object.values(route.replies);
    const bodiless = reply?.schema === undefined || route.id === "drainPool";
    assert.deepEqual(answer, bodiless ? undefined : reply.example, route.id);
    const call = server.calls.at(-1) as WireCall;
    assert.equal(call.routeId, route.id);
    assert.deepEqual(call.body, route.body?.example);
    if (route.path.includes("{id}")) assert.equal(call.id, "hf:a/b c");
  }
});

test("credentials and the correlation id travel in their headers", async () => {
  await using server = await WireServer.start();
  const client = createClient({ baseUrl: server.url, token: "t".repeat(16), apiKey: "k" });
  await client.listTasks({ state: "waiting", limit: 5 }, { correlationId: "mine" });
  const { headers, query } = server.calls[0] as WireCall;
  assert.equal(headers.authorization, `Bearer ${"t".repeat(16)}`);
  assert.equal(headers["x-api-key"], "k");
  assert.equal(headers["x-correlation-id"], "mine");
  assert.equal(query.toString(), "state=waiting&limit=5");
});

test("an id that a path would resolve away names nothing", async () => {
  const client = createClient({ baseUrl: "http://127.0.0.1:8080" });
  for (const id of ["", ".", ".."]) {
    await assert.rejects(client.getTask(id), (error: OrchError) => error.code === "INVALID_PARAMS", id);
  }
});

test("an error of the server arrives with its code, its message and what it advises", async () => {
  await using server = await WireServer.start();
  server.answer("createTask", (_, response) =>
    sendError(response, { code: "DEADLINE_UNMET", message: "Too late.", earliest_finish_ms: 900 }),
  );
  const client = createClient({ baseUrl: server.url });
  await assert.rejects(client.createTask({} as TaskRequest), (error: OrchError) => {
    assert.ok(error instanceof OrchError);
    assert.equal(error.code, "DEADLINE_UNMET");
    assert.equal(error.message, "Too late.");
    assert.equal(error.details.earliest_finish_ms, 900);
    return true;
  });
  assert.equal(server.calls.length, 1, "what is not retriable is sent once");
});

test("a fault of the server names the id that finds it in the logs", async () => {
  await using server = await WireServer.start();
  server.answer("getCapabilities", (_, response) =>
    sendError(response, { code: "INTERNAL", message: "It broke." }, { "X-Correlation-Id": "abc" }),
  );
  const client = createClient({ baseUrl: server.url });
  await assert.rejects(client.getCapabilities(), { message: "It broke. (correlation id abc)" });
});

test("a retriable refusal is sent again after what it asks for, and not for ever", async () => {
  await using server = await WireServer.start();
  server.answer("listPools", (_, response) =>
    sendError(response, { code: "POOL_UNREADY", message: "Draining." }, { "X-Backoff-Ms": "30" }),
  );
  const client = createClient({ baseUrl: server.url, baseMs: 1, attemptsMax: 3 });
  const delays: number[] = [];
  const pools = client.listPools({ onRetry: ({ delayMs }) => delays.push(delayMs) });
  await assert.rejects(pools, (error: OrchError) => error.code === "POOL_UNREADY");
  assert.equal(server.calls.length, 3);
  assert.equal(delays.length, 2);
  for (const delayMs of delays) assert.ok(delayMs >= 30 && delayMs < 33, `${delayMs}`);
});

const worthAnotherTry = [
  "ADMISSION_REJECT",
  "QUEUE_FULL_DROP_LRU",
  "POOL_UNREADY",
  "POOL_UNAVAILABLE",
  "REPLICA_EXHAUSTED",
  "DECODE_TIMEOUT",
  "WORKER_RESET",
];

test("what is retriable is sent again, by the table and by the client, and nothing else is [ORCH-3025]", async () => {
  await using server = await WireServer.start();
  for (const code of Object.keys(errorTable) as ErrorCode[]) {
    const isRetriable = worthAnotherTry.includes(code);
    assert.equal(errorTable[code].retriable, isRetriable, code);
    assert.equal(new OrchError(code, "It failed.").toEnvelope().retriable, isRetriable, code);
    server.answer("listPools", (_, response) => sendError(response, { code, message: "It failed." }));
    const client = createClient({ baseUrl: server.url, baseMs: 1, attemptsMax: 2 });
    const before = server.calls.length;
    await assert.rejects(client.listPools(), (error: OrchError) => error.code === code);
    assert.equal(server.calls.length - before, isRetriable ? 2 : 1, code);
  }
});

test("what no header can carry is refused before anything is sent, with its name and without its text", async () => {
  await using server = await WireServer.start();
  const baseUrl = server.url;
  for (const value of ["sécret", "se\ncret", " secret", ""]) {
    for (const name of ["token", "apiKey"]) {
      assert.throws(
        () => createClient({ baseUrl, [name]: value }),
        (error: OrchError) => {
          assert.equal(error.code, "INVALID_PARAMS");
          assert.match(error.message, new RegExp(`^${name}: accepted is visible ASCII`));
          return !error.message.includes("cret");
        },
      );
    }
  }
  const asked = createClient({ baseUrl }).listPools({ correlationId: "sécret" });
  await assert.rejects(asked, (error: OrchError) => error.message.startsWith("X-Correlation-Id: "));
  assert.equal(server.calls.length, 0);
});

test("a wait of hours is not waited for", async () => {
  await using server = await WireServer.start();
  server.answer("listPools", (_, response) =>
    sendError(response, { code: "ADMISSION_REJECT" }, { "Retry-After": "7200" }),
  );
  const client = createClient({ baseUrl: server.url });
  await assert.rejects(client.listPools(), (error: OrchError) => error.code === "ADMISSION_REJECT");
  assert.equal(server.calls.length, 1);
});

test("a server that is not there is named with what to do, after the time it was given", async () => {
  const server = await WireServer.start();
  await server.kill();
  const client = createClient({ baseUrl: server.url, patienceMs: 200, baseMs: 5, capMs: 10 });
  let retries = 0;
  await assert.rejects(client.getCapabilities({ onRetry: () => retries++ }), (error: UnreachableError) => {
    assert.ok(error instanceof UnreachableError);
    assert.equal(error.code, "ECONNREFUSED");
    assert.match(
      error.message,
      new RegExp(`^${server.url} could not be reached \\(ECONNREFUSED\\)\\. Check`),
    );
    return true;
  });
  assert.ok(retries >= 4, `${retries}`);
});

test("a client that never reached its server may give up at once", async () => {
  await using server = await WireServer.start();
  const client = createClient({ baseUrl: server.url, contactMs: 0, baseMs: 20 });
  await server.kill();
  const onRetry = () => assert.fail("it tried again");
  await assert.rejects(client.listPools({ onRetry }), UnreachableError);
  await server.listen();
  await client.listPools();
  await server.kill();
  let back: Promise<void> | undefined;
  await client.listPools({ onRetry: () => (back ??= server.listen()) });
  assert.ok(back !== undefined, "now it is waited for");
});

test("a reload is not sent twice when its answer is lost", async () => {
  await using server = await WireServer.start();
  server.answer("reloadPool", (_, response) => void response.destroy());
  const client = createClient({ baseUrl: server.url });
  await assert.rejects(client.reloadPool("haiku", { new_model_ref: "haiku" }), UnreachableError);
  assert.equal(server.calls.length, 1);
});

test("an answer that is none of ours is said to be none", async () => {
  await using server = await WireServer.start();
  const client = createClient({ baseUrl: server.url });
  server.answer("listPools", (_, response) => void response.writeHead(404).end("<h1>nginx</h1>"));
  await assert.rejects(client.listPools(), { name: "UnexpectedReplyError", status: 404 });
  server.answer("listPools", (_, response) => void response.writeHead(200).end("<h1>Welcome</h1>"));
  await assert.rejects(client.listPools(), UnexpectedReplyError);
  server.answer("listPools", (_, response) => void response.writeHead(301, { Location: "https://x/" }).end());
  await assert.rejects(client.listPools(), /with a redirect to https:\/\/x\//);
});

test("a proxy that waits for its server is waited for", async () => {
  await using server = await WireServer.start();
  let answers = 0;
  server.answer("getCapabilities", (_, response) => {
    const back = ++answers > 2;
    response.writeHead(back ? 200 : 502).end(back ? "{}" : "<h1>Bad gateway</h1>");
  });
  const client = createClient({ baseUrl: server.url, baseMs: 1 });
  assert.deepEqual(await client.getCapabilities(), {});
});

test("a server that accepts and never answers is given up in time", async () => {
  await using server = await WireServer.start();
  server.answer("listPools", () => undefined);
  const client = createClient({ baseUrl: server.url, timeoutMs: 20, patienceMs: 0 });
  await assert.rejects(client.listPools(), UnreachableError);
});

test("an aborted call throws its reason, while it waits for another try too", async () => {
  await using server = await WireServer.start();
  server.answer("listPools", (_, response) =>
    sendError(response, { code: "POOL_UNREADY" }, { "Retry-After": "50" }),
  );
  const client = createClient({ baseUrl: server.url });
  const controller = new AbortController();
  const reason = new Error("enough");
  const call = client.listPools({ signal: controller.signal, onRetry: () => controller.abort(reason) });
  await assert.rejects(call, reason);
});

test("an address that is none, or carries a password, is refused without being shown", () => {
  for (const baseUrl of ["localhost:8080", "ftp://a", "http://me:secret@a", "http://a/?key=secret"]) {
    assert.throws(
      () => createClient({ baseUrl }),
      (error: OrchError) => {
        assert.equal(error.code, "INVALID_PARAMS");
        return !error.message.includes("secret");
      },
    );
  }
});
