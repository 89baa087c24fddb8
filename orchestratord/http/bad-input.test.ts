// Requests that are wrong in one way each, over real HTTP: a clear answer, and the daemon goes on.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { ErrorEnvelope, parser } from "@llama-orch/contract";
import { dial, exchange, serving, taskRequest, wholeAnswer } from "./fixtures/serving.ts";

const mebibyte = 1_048_576;
const parse = parser(ErrorEnvelope);

async function refusal(answer: Response): Promise<readonly [number, string, string]> {
  const { code, message = "" } = parse(await answer.json());
  assert.notEqual(answer.headers.get("x-correlation-id"), null);
  return [answer.status, code, message];
}

const hostile = (text: string) => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

test("malformed JSON, a wrong type and a missing field are 400 INVALID_PARAMS naming what is wrong; sizes end at 1 and 16 MiB [API-02]", async (t) => {
  const { post } = await serving(t);
  for (const body of [
    "{",
    "",
    " ",
    "nul",
    "{'a':1}",
    '{"a":1}}',
    "\u{feff}{}",
    "[",
    "{".repeat(1000),
    "NaN",
  ]) {
    const [status, code] = await refusal(await post("/v1/tasks", body));
    assert.deepEqual([status, code], [400, "INVALID_PARAMS"], hostile(body));
  }
  for (const [fields, named] of [
    [{ ctx: "0" }, /^ctx: given "0"; accepted: an integer/],
    [{ max_tokens: 0 }, /^max_tokens: given 0/],
    [{ engine: "gpt" }, /^engine: given "gpt"; accepted: one of/],
    [{ session_id: undefined }, /^session_id: given nothing/],
    [{ prompt: { text: "x" } }, /^prompt: given an object/],
    [{ seed: 2 ** 53 }, /^seed: given/],
    [{ sampling: { temprature: 1 } }, /^sampling\.temprature: given an unknown key/],
    [{ placement: { mode: "pin" } }, /^placement\.pin_pool_id/],
  ] as const) {
    const [status, code, message] = await refusal(await post("/v1/tasks", taskRequest(fields)));
    assert.deepEqual([status, code], [400, "INVALID_PARAMS"]);
    assert.match(message, named);
  }
  const large = await post("/v1/tasks", taskRequest({ prompt: "x".repeat(mebibyte - 400) }));
  assert.equal(large.status, 202);
  assert.deepEqual(
    (await refusal(await post("/v1/tasks", taskRequest({ prompt: "x".repeat(mebibyte) })))).slice(0, 2),
    [413, "PAYLOAD_TOO_LARGE"],
  );
  const document = (bytes: number) => post("/v1/artifacts", { content: { text: "x".repeat(bytes) } });
  assert.equal((await document(16 * mebibyte - 100)).status, 201);
  assert.deepEqual((await refusal(await document(16 * mebibyte))).slice(0, 2), [413, "PAYLOAD_TOO_LARGE"]);
});

test("a value that is no object, or nested too deep, is refused without touching the stack", async (t) => {
  const { post } = await serving(t);
  for (const path of ["/v1/tasks", "/v1/artifacts"]) {
    for (const body of ["null", "[]", '"x"', "7", "true"]) {
      assert.equal((await post(path, body)).status, 400, `${path} ${body}`);
    }
  }
  const levels = 100_000;
  const nest = `${'{"content":'.repeat(levels)}{}${"}".repeat(levels)}`;
  assert.equal((await post("/v1/artifacts", nest)).status, 400);
  const lists = `{"content":{"a":${"[".repeat(levels)}${"]".repeat(levels)}}}`;
  assert.equal((await post("/v1/artifacts", lists)).status, 400);
  const inTask = JSON.stringify(taskRequest()).replace(
    "}",
    `,"x":${"[".repeat(levels)}${"]".repeat(levels)}}`,
  );
  assert.equal((await post("/v1/tasks", inTask)).status, 202);
});

test("of a key that stands twice the last counts, and __proto__ is a key like any other", async (t) => {
  const { post, fetch, application } = await serving(t);
  const twice = JSON.stringify(taskRequest()).replace("{", '{"task_id":"first",');
  assert.equal(((await (await post("/v1/tasks", twice)).json()) as { task_id: string }).task_id, "poem-1");
  const poison = JSON.stringify(taskRequest({ task_id: "poem-2" })).replace(
    "{",
    '{"__proto__":{"tenant_id":"root","override":true},"constructor":{"prototype":{"x":1}},',
  );
  assert.equal((await post("/v1/tasks", poison)).status, 202);
  assert.equal(application.callers.length, 2);
  assert.equal(({} as Record<string, unknown>).override, undefined);
  const stored = await post("/v1/artifacts", '{"__proto__":{"kind":"plan"},"a":1}');
  const { id, kind } = (await stored.json()) as { id: string; kind: string };
  assert.equal(kind, "doc");
  assert.equal(await (await fetch(`/v1/artifacts/${id}`)).text(), '{"__proto__":{"kind":"plan"},"a":1}');
});

test("a body of another type, charset or coding is 415", async (t) => {
  const { fetch } = await serving(t);
  const body = JSON.stringify(taskRequest());
  const send = (headers: Record<string, string>, sent: NonNullable<RequestInit["body"]> = body) =>
    fetch("/v1/tasks", { method: "POST", headers, body: sent });
  for (const type of [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/vnd.api+json",
    "application/json; charset=latin1",
    "application/json; charset=utf-16",
    "application/jsonx",
    "nonsense",
    "application/json, text/plain",
  ]) {
    const [status, code] = await refusal(await send({ "Content-Type": type }));
    assert.deepEqual([status, code], [415, "UNSUPPORTED_MEDIA_TYPE"], type);
  }
  const coded = await send({ "Content-Type": "application/json", "Content-Encoding": "gzip" });
  assert.equal(coded.status, 415);
  assert.equal((await send({}, new Blob([body]))).status, 415);
  for (const type of [
    "application/json",
    "Application/JSON; Charset=UTF-8",
    'application/json;charset="utf-8"',
  ]) {
    assert.equal((await send({ "Content-Type": type })).status, 202, type);
  }
});

test("a body that is not UTF-8, and a missing one, are 400", async (t) => {
  const { fetch } = await serving(t);
  const headers = { "Content-Type": "application/json" };
  const latin = Buffer.from(JSON.stringify(taskRequest({ prompt: "café" })), "latin1");
  assert.equal((await fetch("/v1/tasks", { method: "POST", headers, body: latin })).status, 400);
  assert.equal((await fetch("/v1/tasks", { method: "POST", headers })).status, 400);
  assert.equal((await fetch("/v1/tasks", { method: "POST" })).status, 400);
});

test("paths with odd percent-encoding are 400 or 404 and never another path", async (t) => {
  const { port } = await serving(t);
  const status = async (path: string) => {
    const answer = await exchange(
      port,
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    );
    assert.match(answer, /^X-Correlation-Id: /m, path);
    return Number(answer.slice("HTTP/1.1 ".length).slice(0, 3));
  };
  for (const path of ["/v1/sessions/%", "/v1/sessions/%zz", "/v1/sessions/%C3%28", "/v1/sessions/%00"]) {
    assert.equal(await status(path), 400, path);
  }
  for (const path of [
    "/v1%2Fcapabilities",
    "/v1/tasks/..%2f..%2fmetrics/stream",
    "/v1/../metrics",
    "/./metrics",
    "/metrics/",
    "/metrics%00",
    "/v1/tasks/%2e%2e/stream",
  ]) {
    assert.equal(await status(path), 404, path);
  }
  assert.equal(await status("/v1/sessions/a%2Fb"), 400);
  assert.equal(await status("/v1/sessions/even%69ng"), 200);
  assert.equal(await status(`/v1/sessions/${"a".repeat(12_000)}`), 400);
  assert.equal(await status("/metrics?x=%zz&y=%00&__proto__=1"), 200);
});

/** One chunk of a body without a length. */
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

const chunkedHead = (path: string) =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;

test("a chunked body is read like any other, and refused with 413 once it is too large", async (t) => {
  const { port, fetch } = await serving(t);
  const body = JSON.stringify(taskRequest());
  const socket = await dial(port);
  socket.write(`${chunkedHead("/v1/tasks")}${[...body].map(chunk).join("")}0\r\n\r\n`);
  assert.match(String(await once(socket, "data")), /^HTTP\/1\.1 202 /);
  socket.write(chunkedHead("/v1/tasks"));
  const answered = once(socket, "data");
  for (let n = 0; n < 17; n++) socket.write(chunk("x".repeat(65_536)));
  assert.match(String(await answered), /^HTTP\/1\.1 413 /);
  // The rest is read and thrown away, and then the connection serves again.
  socket.write("0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  assert.match(await wholeAnswer(socket), /HTTP\/1\.1 200 /);
  assert.equal((await fetch("/metrics")).status, 200);
});

test("a sender that never stops is cut off after its refusal", async (t) => {
  const { port, fetch } = await serving(t, { limits: { discardedBytesMax: 2 * mebibyte } });
  const socket = await dial(port);
  const text = wholeAnswer(socket);
  socket.write(chunkedHead("/v1/tasks"));
  const piece = chunk("x".repeat(65_536));
  const pump = () => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.on("drain", pump);
  pump();
  assert.match(await text, /^(HTTP\/1\.1 413 |$)/);
  assert.equal((await fetch("/metrics")).status, 200);
});

test("a body nobody asked for is thrown away and the connection goes on", async (t) => {
  const { port } = await serving(t);
  const body = "x".repeat(300_000);
  const head = (method: string, path: string) =>
    `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const answers = await exchange(
    port,
    `${head("POST", "/v1/tasks/x/cancel")}${head("GET", "/v1/capabilities")}${head("POST", "/nowhere")}` +
      `${head("DELETE", "/v1/sessions/x")}${head("POST", "/v1/tasks")}` +
      "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
  );
  const statuses = [...answers.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status);
  assert.deepEqual(statuses, ["204", "200", "404", "204", "415", "200"]);
});

test("an upgrade, an unknown expectation and a tunnel are no way past the routes", async (t) => {
  const { port, fetch } = await serving(t);
  const ask = (head: string) => exchange(port, `${head}\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  const upgrade = "GET /metrics HTTP/1.1\r\nUpgrade: h2c";
  assert.match(await ask(upgrade), /^HTTP\/1\.1 200 .*X-Correlation-Id/s);
  assert.match(await ask("GET /metrics HTTP/1.1\r\nExpect: miracles"), /^HTTP\/1\.1 200 .*X-Correlation-Id/s);
  assert.match(await ask("GET http://evil.example/nowhere HTTP/1.1"), /^HTTP\/1\.1 404 /);
  assert.match(await ask("PROPFIND /metrics HTTP/1.1"), /^HTTP\/1\.1 405 .*Allow: GET\r/s);
  assert.match(await ask("QUERY /v1/tasks HTTP/1.1"), /^HTTP\/1\.1 405 .*X-Correlation-Id/s);
  assert.equal(await ask("CONNECT evil.example:443 HTTP/1.1"), "");
  assert.equal((await fetch("/metrics")).status, 200);
});

test("requests in one packet are answered in their order", async (t) => {
  const s = await serving(t);
  const one = (n: number) => {
    const body = JSON.stringify(taskRequest({ task_id: `t${n}` }));
    return `POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  };
  const last = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  const text = await exchange(s.port, Array.from({ length: 50 }, (_, n) => one(n)).join("") + last);
  const ids = [...text.matchAll(/"task_id":"(t\d+)"/g)].map(([, id]) => id);
  assert.deepEqual(
    ids,
    Array.from({ length: 50 }, (_, n) => `t${n}`),
  );
});
