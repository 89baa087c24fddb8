import assert from "node:assert/strict";
import { test } from "node:test";
import { correlationIdFrom } from "./correlation.ts";
import { exchange, serving, taskRequest } from "./fixtures/serving.ts";

const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test("the header is kept when it is 1 to 128 visible ASCII characters, else a UUIDv4 takes its place", () => {
  for (const id of ["a", "x".repeat(128), "!~", "7f3c-1"]) {
    assert.equal(correlationIdFrom({ "x-correlation-id": id }), id);
  }
  for (const id of ["", "x".repeat(129), "a b", "a\tb", "ä", "a\r\nb", undefined, ["a", "b"]]) {
    assert.match(correlationIdFrom({ "x-correlation-id": id }), uuid4);
  }
});

test("every answer repeats the correlation id: success, 204, each error, unknown routes, metrics and streams [CHK-F-05]", async (t) => {
  const { fetch, post, application } = await serving(t, {
    environment: { ORCHD_CORS_ORIGINS: "https://a.example" },
  });
  const headers = { "X-Correlation-Id": "walk-7" };
  const json = { ...headers, "Content-Type": "application/json" };
  await post("/v1/tasks", taskRequest());
  application.finish("poem-1", ["Moon"]);
  const preflight = { ...headers, Origin: "https://a.example", "Access-Control-Request-Method": "POST" };
  const answers: [number, Response][] = [
    [202, await post("/v1/tasks", taskRequest(), headers)],
    [200, await fetch("/v1/capabilities", { headers })],
    [200, await fetch("/v1/tasks/poem-1/stream", { headers })],
    [200, await fetch("/metrics", { headers })],
    [204, await fetch("/v1/tasks/poem-1/cancel", { method: "POST", headers })],
    [204, await fetch("/v1/tasks/poem-1/stream", { headers: { ...headers, "Last-Event-ID": "end" } })],
    [204, await fetch("/v1/tasks", { method: "OPTIONS", headers: preflight })],
    [400, await post("/v1/tasks", "{", headers)],
    [400, await fetch("/v1/sessions/%zz", { headers })],
    [403, await fetch("/v1/capabilities", { headers: { ...headers, Origin: "https://evil.example" } })],
    [404, await fetch("/nowhere", { headers })],
    [404, await fetch("/nowhere", { method: "POST", headers: json, body: "{" })],
    [
      404,
      await fetch("/nowhere", { method: "POST", headers: { ...headers, "Content-Type": "no" }, body: "{" }),
    ],
    [405, await fetch("/v1/tasks", { headers })],
    [413, await post("/v1/tasks", `"${"x".repeat(1_048_576)}"`, headers)],
    [415, await fetch("/v1/tasks", { method: "POST", headers, body: "{}" })],
    [
      415,
      await fetch("/v1/tasks", { method: "POST", headers: { ...headers, "Content-Type": "no" }, body: "{}" }),
    ],
    [503, await fetch("/v2/nodes", { headers })],
  ];
  for (const [status, answer] of answers) {
    assert.equal(answer.status, status, answer.url);
    assert.equal(answer.headers.get("x-correlation-id"), "walk-7", `${status} ${answer.url}`);
    await answer.text();
  }
});

test("bytes that are no HTTP get an answer with a correlation id and the connection ends", async (t) => {
  const { port, fetch } = await serving(t);
  for (const [bytes, status] of [
    ["GARBAGE\r\n\r\n", 400],
    ["GET /v1/capabilities HTTP/9.9\r\n\r\n", 400],
    ["GET /metrics HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n", 400],
    ["POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400],
    ["GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Correlation-Id: a\rb\r\n\r\n", 400],
    [`GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, 431],
    ["GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n", 400],
  ] as const) {
    const answer = await exchange(port, bytes);
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), bytes.slice(0, 60));
    assert.match(answer, /^X-Correlation-Id: [0-9a-f-]{36}\r$/m, bytes.slice(0, 60));
    assert.equal(JSON.parse(answer.split("\r\n\r\n")[1] as string).code, "INVALID_PARAMS");
  }
  assert.equal((await fetch("/metrics")).status, 200);
});

test("an id that would inject a header is replaced and never repeated", async (t) => {
  const { port } = await serving(t);
  for (const id of ["a b", "caf\xe9", "x".repeat(129), "a\tSet-Cookie: b"]) {
    const head = `GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Correlation-Id: ${id}\r\nConnection: close\r\n\r\n`;
    const answer = await exchange(port, Buffer.from(head, "latin1"));
    assert.match(answer, /^X-Correlation-Id: [0-9a-f-]{36}\r$/m);
    assert.ok(!answer.includes(id));
  }
});
