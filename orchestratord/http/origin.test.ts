import assert from "node:assert/strict";
import { test } from "node:test";
import { exchange, type Serving, serving } from "./fixtures/serving.ts";

/** The status of a GET that names this Host and this Origin, as a page of a browser would. */
async function status({ port }: Serving, host: string, origin?: string, path = "/v1/capabilities") {
  const named = origin === undefined ? "" : `Origin: ${origin}\r\n`;
  const head = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${named}Connection: close\r\n\r\n`;
  return Number((await exchange(port, head)).slice("HTTP/1.1 ".length).slice(0, 3));
}

test("without a credential only hosts of this machine and configured ones may be named", async (t) => {
  const s = await serving(t, { file: { network: { allowed_hosts: ["Attic.local"] } } });
  for (const host of [
    "localhost",
    "localhost:8080",
    "127.0.0.1:1",
    "127.9.9.9",
    "[::1]:8080",
    "attic.LOCAL:80",
  ]) {
    assert.equal(await status(s, host), 200, host);
  }
  for (const host of [
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "10.0.0.7:8080",
    "localhost@evil.example",
    "0.0.0.0:8080",
    "",
  ]) {
    assert.equal(await status(s, host), 403, host);
    assert.equal(await status(s, host, undefined, "/metrics"), 403, host);
    assert.equal(await status(s, host, undefined, "/nowhere"), 403, host);
  }
});

test("without a credential a foreign Origin is 403, pages of this machine and configured ones may call", async (t) => {
  const s = await serving(t, { environment: { ORCHD_CORS_ORIGINS: "https://chat.example.org" } });
  for (const origin of [
    "http://localhost:3000",
    "http://127.0.0.1",
    "https://[::1]:1",
    "https://chat.example.org",
    "HTTPS://CHAT.EXAMPLE.ORG",
  ]) {
    assert.equal(await status(s, "localhost", origin), 200, origin);
  }
  for (const origin of [
    "https://evil.example",
    "http://chat.example.org",
    "https://chat.example.org:8443",
    "https://chat.example.org.evil.example",
    "null",
    "file://",
    "",
    "http://localhost.evil.example",
    "http://evil.example/localhost",
  ]) {
    assert.equal(await status(s, "localhost", origin), 403, origin);
  }
  const answer = await s.fetch("/v1/capabilities", { headers: { Origin: "https://evil.example" } });
  const body = (await answer.json()) as Record<string, unknown>;
  assert.equal(body.code, "FORBIDDEN_ORIGIN");
  assert.match(body.hint as string, /network\.cors_origins/);
});

test("a credential vouches for any Host and Origin, and /metrics stays open where one is configured", async (t) => {
  const s = await serving(t, { environment: { ORCHD_API_KEYS: "valid" } });
  const headers = { "X-API-Key": "valid", Origin: "https://elsewhere.example" };
  const answer = await s.fetch("/v1/capabilities", { headers });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("access-control-allow-origin"), null);
  assert.equal(await status(s, "gpu-box.example:8080", undefined, "/metrics"), 200);
});

test("CORS is off by default: no header of it, and OPTIONS is no method", async (t) => {
  const { fetch } = await serving(t);
  const headers = { Origin: "http://localhost:3000", "Access-Control-Request-Method": "POST" };
  for (const answer of [
    await fetch("/v1/capabilities", { headers }),
    await fetch("/v1/tasks", { method: "OPTIONS", headers }),
  ]) {
    assert.ok([200, 405].includes(answer.status));
    for (const name of answer.headers.keys()) assert.doesNotMatch(name, /^access-control-|^vary$/);
  }
});

test("CORS is off by default and configured origins get Access-Control-Allow-* on OPTIONS, with the headers they need [OC-CTRL-2070]", async (t) => {
  const origin = "https://chat.example.org";
  const asked = { Origin: origin, "Access-Control-Request-Method": "POST" };
  const off = await serving(t);
  const refused = await off.fetch("/v1/tasks", { method: "OPTIONS", headers: asked });
  assert.deepEqual([refused.status, refused.headers.get("access-control-allow-origin")], [403, null]);

  const { fetch } = await serving(t, {
    environment: { ORCHD_CORS_ORIGINS: origin, ORCHD_API_KEYS: "valid" },
  });
  // A browser sends no credential with a preflight.
  const answer = await fetch("/v1/tasks", { method: "OPTIONS", headers: asked });
  const shown = (name: string) => answer.headers.get(name) as string;
  assert.equal(answer.status, 204);
  assert.equal(shown("access-control-allow-origin"), origin);
  assert.equal(shown("access-control-allow-methods"), "POST");
  for (const name of ["X-Correlation-Id", "X-API-Key", "Authorization", "Content-Type", "Last-Event-ID"]) {
    assert.ok(shown("access-control-allow-headers").split(", ").includes(name), name);
  }
  assert.equal(shown("vary"), "Origin");
  assert.equal((await fetch("/nowhere", { method: "OPTIONS", headers: asked })).status, 401);
  const foreign = { ...asked, Origin: "https://evil.example" };
  assert.equal((await fetch("/v1/tasks", { method: "OPTIONS", headers: foreign })).status, 401);

  for (const path of ["/v1/capabilities", "/metrics", "/nowhere"]) {
    const real = await fetch(path, { headers: { Origin: origin, "X-API-Key": "valid" } });
    assert.equal(real.headers.get("access-control-allow-origin"), origin, path);
    assert.match(real.headers.get("access-control-expose-headers") as string, /X-Correlation-Id/);
  }
});
