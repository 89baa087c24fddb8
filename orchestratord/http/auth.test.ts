import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { test } from "node:test";
import { apiKeyEntry, faces, type OrchError, type Route } from "@llama-orch/contract";
import { createGate, isSame } from "./auth.ts";
import { correlationIdFrom } from "./correlation.ts";
import { configOf, type Serving, serving, taskRequest } from "./fixtures/serving.ts";
import { originRule } from "./origin.ts";

const token = "correct-horse-battery";
const keys = { ORCHD_API_KEYS: "valid,blue=blue-key" };
const withToken = { LLORCH_API_TOKEN: token };
const bearer = (text: string) => ({ Authorization: `Bearer ${text}` });
const fp6 = (secret: string) => createHash("sha256").update(secret).digest("hex").slice(0, 6);

type Headers = Record<string, string>;

async function ask(
  s: Serving,
  path: string,
  headers: Headers = {},
): Promise<readonly [number, string | undefined]> {
  const answer = await s.fetch(path, { headers });
  const text = await answer.text();
  assert.notEqual(answer.headers.get("x-correlation-id"), null);
  if (answer.status !== 401 && answer.status !== 403) return [answer.status, undefined];
  const { code, message, hint } = JSON.parse(text) as Record<string, unknown>;
  assert.deepEqual([typeof message, typeof hint], ["string", "string"]);
  return [answer.status, code as string];
}

const ok = [200, undefined] as const;
const rows: readonly Route[] = [
  ...faces.orchqueue.routes,
  ...faces.operator.routes.filter((row) => !row.path.startsWith("/v2/catalog")),
];

/** Every route but the metrics, asked as the contract's table writes it, and one that is not there. */
async function statuses(s: Serving, headers: Headers): Promise<Set<number>> {
  const asked = rows.filter((row) => row.id !== "getMetrics");
  const paths = asked.map(({ method, path }) => [method, path.replaceAll(/\{\w+\}/g, "x")] as const);
  const seen = new Set<number>();
  for (const [method, path] of [...paths, ["GET", "/nowhere"], ["PUT", "/v1/tasks"]] as const) {
    seen.add((await s.fetch(path, { method, headers })).status);
  }
  return seen;
}

test("with nothing configured every route is open and the caller is localhost", async (t) => {
  const s = await serving(t);
  for (const status of await statuses(s, {})) assert.ok(status !== 401 && status !== 403);
  await s.post("/v1/tasks", taskRequest());
  const [caller] = s.application.callers;
  assert.deepEqual(
    [caller?.identity, caller?.client, caller?.tenantId],
    ["localhost", "127.0.0.1", undefined],
  );
  assert.deepEqual(s.auth, []);
});

test("with keys configured every route but /metrics needs X-API-Key: 401 without, 403 with a wrong one [CHK-A-02, CHK-F-06]", async (t) => {
  const s = await serving(t, { environment: keys });
  assert.deepEqual([...(await statuses(s, {}))], [401]);
  assert.deepEqual([...(await statuses(s, { "X-API-Key": "invalid" }))], [403]);
  for (const status of await statuses(s, { "X-API-Key": "valid" }))
    assert.ok(status !== 401 && status !== 403);
  assert.deepEqual(await ask(s, "/v1/capabilities"), [401, "MISSING_API_KEY"]);
  assert.deepEqual(await ask(s, "/v1/capabilities", { "X-API-Key": "" }), [403, "INVALID_API_KEY"]);
  assert.deepEqual(await ask(s, "/v1/capabilities", { "X-API-Key": "valid" }), ok);
  assert.deepEqual(await ask(s, "/v1/capabilities", bearer(token)), [401, "MISSING_API_KEY"]);
  assert.deepEqual(await ask(s, "/metrics"), ok);
  // A valid bearer token is accepted instead, where one is configured.
  const both = await serving(t, { environment: { ...keys, ...withToken } });
  assert.deepEqual(await ask(both, "/v1/capabilities", bearer(token)), ok);
});

test("without a credential a configured gate refuses, and with none configured it is open [OC-CTRL-2040, ORCH-3035]", async (t) => {
  const open = await serving(t);
  assert.deepEqual(await ask(open, "/v1/capabilities"), ok);
  for (const environment of [keys, withToken, { ...keys, ...withToken }]) {
    const s = await serving(t, { environment });
    assert.deepEqual([...(await statuses(s, {}))], [401]);
    assert.equal((await s.fetch("/metrics")).status, 200);
  }
  await open.post("/v1/tasks", taskRequest());
  assert.equal(open.application.callers[0]?.identity, "localhost");
});

test("a key that is bound to a tenant carries it, and a bare key leaves the tenant to the request", async (t) => {
  const s = await serving(t, { environment: keys });
  for (const key of ["valid", "blue-key"]) await s.post("/v1/tasks", taskRequest(), { "X-API-Key": key });
  const [bare, bound] = s.application.callers;
  assert.deepEqual([bare?.tenantId, bound?.tenantId], [undefined, "blue"]);
  assert.deepEqual([bare?.identity, bound?.identity], [`token:${fp6("valid")}`, `token:${fp6("blue-key")}`]);
  assert.notEqual(bare?.client, bound?.client);
  // Documents of one tenant are not there for another.
  const stored = await s.post("/v1/artifacts", { kind: "doc" }, { "X-API-Key": "blue-key" });
  const { id } = (await stored.json()) as { id: string };
  assert.deepEqual(await ask(s, `/v1/artifacts/${id}`, { "X-API-Key": "blue-key" }), ok);
  assert.deepEqual(await ask(s, `/v1/artifacts/${id}`, { "X-API-Key": "valid" }), [404, undefined]);
  assert.deepEqual(apiKeyEntry("blue=blue-key"), { tenant: "blue", key: "blue-key" });
});

test("a token is asked for on every route but /metrics; missing and wrong are both 401 [CLOUD-10]", async (t) => {
  const s = await serving(t, { environment: withToken });
  assert.deepEqual(await ask(s, "/metrics"), ok);
  for (const path of ["/v1/capabilities", "/v2/nodes", "/v2/tasks", "/nowhere"]) {
    assert.deepEqual(await ask(s, path), [401, "MISSING_TOKEN"], path);
    assert.deepEqual(await ask(s, path, bearer("wrong-token-wrong-token")), [401, "BAD_TOKEN"], path);
    assert.deepEqual(await ask(s, path, { "X-API-Key": "valid" }), [401, "MISSING_TOKEN"], path);
  }
  assert.deepEqual(await ask(s, "/v1/capabilities", bearer(token)), ok);
  assert.deepEqual(await ask(s, "/v2/nodes", bearer(token)), [503, undefined]);
});

test("exactly the configured token passes, trimmed, within 8192 bytes and without control characters [AUTH-1001]", async (t) => {
  for (const name of ["LLORCH_API_TOKEN", "AUTH_TOKEN"]) {
    const s = await serving(t, { environment: { [name]: token } });
    const of = (authorization: string) => ask(s, "/v1/capabilities", { Authorization: authorization });
    assert.deepEqual(await of(`Bearer ${token}`), ok);
    assert.deepEqual(await of(`bearer    ${token}  `), ok);
    for (const wrong of [
      token.toUpperCase(),
      `${token}x`,
      token.slice(0, -1),
      `a${token}`,
      "",
      `${token}\tb`,
    ]) {
      assert.deepEqual(await of(`Bearer ${wrong}`), [401, "BAD_TOKEN"], wrong);
    }
    assert.deepEqual(await of(`Bearer ${" ".repeat(8192)}${token}`), [401, "BAD_TOKEN"]);
    assert.deepEqual(await of(`Bearer ${"x".repeat(9000)}`), [401, "BAD_TOKEN"]);
    assert.deepEqual(await of(`Basic ${token}`), [401, "MISSING_TOKEN"]);
    assert.deepEqual(await of(`Bearer${token}`), [401, "MISSING_TOKEN"]);
  }
});

test("with keys and a token a valid one of either wins on /v1, while node routes want the token", async (t) => {
  const s = await serving(t, { environment: { ...keys, ...withToken } });
  const good = { "X-API-Key": "valid" };
  const bad = { "X-API-Key": "invalid" };
  const path = "/v1/capabilities";
  assert.deepEqual(await ask(s, path, good), ok);
  assert.deepEqual(await ask(s, path, { ...good, ...bearer("wrong") }), ok);
  assert.deepEqual(await ask(s, path, { ...bad, ...bearer(token) }), ok);
  await s.post("/v1/tasks", taskRequest(), { "X-API-Key": "blue-key", ...bearer(token) });
  assert.equal(s.application.callers[0]?.tenantId, "blue");
  assert.deepEqual(await ask(s, path, bad), [403, "INVALID_API_KEY"]);
  assert.deepEqual(await ask(s, path, bearer("wrong")), [401, "BAD_TOKEN"]);
  assert.deepEqual(await ask(s, path), [401, "MISSING_TOKEN"]);
  assert.deepEqual(await ask(s, "/v2/nodes", good), [401, "MISSING_TOKEN"]);
  assert.deepEqual(await ask(s, "/v2/nodes", bearer(token)), [503, undefined]);
  assert.deepEqual(await ask(s, "/v2/tasks", good), ok);
});

test("every key and the token have the same rights on the routes that keys open [AUTH-1005]", async (t) => {
  const s = await serving(t, { environment: { ...keys, ...withToken } });
  const asked = rows.filter((row) => row.auth === "key" && row.method === "GET");
  const seen = async (headers: Headers) => {
    const answers = asked.map((row) => s.fetch(row.path.replaceAll(/\{\w+\}/g, "x"), { headers }));
    return (await Promise.all(answers)).map(({ status }) => status);
  };
  const byToken = await seen(bearer(token));
  assert.deepEqual(await seen({ "X-API-Key": "valid" }), byToken);
  assert.deepEqual(await seen({ "X-API-Key": "blue-key" }), byToken);
});

test("AUTH_OPTIONAL lets this machine omit the token, never a request that a proxy forwarded [AUTH-1004]", async (t) => {
  const s = await serving(t, { environment: { ...withToken, AUTH_OPTIONAL: "true" } });
  const path = "/v1/capabilities";
  assert.deepEqual(await ask(s, path), ok);
  for (const name of ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Anything"]) {
    assert.deepEqual(await ask(s, path, { [name]: "for=10.0.0.1" }), [401, "MISSING_TOKEN"], name);
    assert.deepEqual(await ask(s, path, { [name]: "", ...bearer(token) }), ok, name);
  }
  assert.deepEqual(await ask(s, path, bearer("wrong")), [401, "BAD_TOKEN"]);
  assert.deepEqual(await ask(s, "/v2/nodes"), [401, "MISSING_TOKEN"]);
  // Whoever shows no credential is held to the rule of pages and hosts.
  assert.deepEqual(await ask(s, path, { Origin: "https://evil.example" }), [403, "FORBIDDEN_ORIGIN"]);
  await s.post("/v1/tasks", taskRequest());
  assert.equal(s.application.callers[0]?.identity, "localhost");
});

test("the gate gives 401, 403 or a caller, and only callers of this machine are excused [CHK-F-07, OC-CONFIG-6033]", () => {
  const gateOf = (environment: Record<string, string>) => {
    const { auth, network } = configOf({ environment });
    const gate = createGate(auth, originRule(network), () => {});
    return (headers: IncomingHttpHeaders, remoteAddress: string) => {
      try {
        const request = { headers: { host: "localhost", ...headers }, socket: { remoteAddress } };
        return gate("key", request as IncomingMessage, "c1").identity;
      } catch (error) {
        return (error as OrchError).status;
      }
    };
  };
  const byKey = gateOf(keys);
  assert.equal(byKey({}, "127.0.0.1"), 401);
  assert.equal(byKey({ "x-api-key": "invalid" }, "127.0.0.1"), 403);
  assert.equal(byKey({ "x-api-key": "valid" }, "127.0.0.1"), `token:${fp6("valid")}`);

  const excusing = gateOf({ ...withToken, AUTH_OPTIONAL: "true" });
  for (const address of ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"]) {
    assert.equal(excusing({}, address), "localhost", address);
  }
  for (const address of ["10.0.0.7", "::ffff:10.0.0.7", "fe80::1", "192.168.127.1", "", "127.0.0.1.evil"]) {
    assert.equal(excusing({}, address), 401, address);
    assert.equal(excusing({ authorization: `Bearer ${token}` }, address), `token:${fp6(token)}`, address);
  }
  assert.equal(correlationIdFrom({ "x-correlation-id": "mine" }), "mine");
  assert.notEqual(correlationIdFrom({}), correlationIdFrom({}));
});

test("a node registers only with the token where one is configured, and the cloud profile wants one [AUTH-1003]", async (t) => {
  const s = await serving(t, { environment: { ...keys, ...withToken, AUTH_OPTIONAL: "true" } });
  const register = async (headers: Headers) => (await s.post("/v2/nodes/register", {}, headers)).status;
  assert.equal(await register({}), 401);
  assert.equal(await register({ "X-API-Key": "valid" }), 401);
  assert.equal(await register(bearer("wrong-token-wrong-token")), 401);
  assert.equal(await register(bearer(token)), 503);
  const cloud = { ORCHESTRATORD_CLOUD_PROFILE: "true" };
  assert.throws(() => configOf({ environment: cloud }), /auth\.token/);
  configOf({ environment: { ...cloud, ...withToken } });
});

test("metrics are at GET /metrics and need no key [CHK-A-15]", async (t) => {
  const s = await serving(t, { environment: { ...keys, ...withToken } });
  const answer = await s.fetch("/metrics");
  assert.equal(answer.status, 200);
  assert.match(await answer.text(), /^# TYPE /);
  assert.deepEqual(s.auth, []);
});

test("so many short headers that Node would drop the proxy's own do not hide it", async (t) => {
  const s = await serving(t, { environment: { ...withToken, AUTH_OPTIONAL: "true" } });
  const many = Array.from({ length: 2100 }, (_, n) => [`a${n.toString(36)}`, ""] as const);
  const headers = Object.fromEntries([...many, ["X-Forwarded-For", "10.0.0.1"]]);
  assert.deepEqual(await ask(s, "/v1/capabilities", headers), [401, "MISSING_TOKEN"]);
});

test("the log hears who passed and who failed, by fingerprint and never by the secret [AUTH-1008]", async (t) => {
  const s = await serving(t, { environment: { ...keys, LLORCH_API_TOKEN: "test-test-test-test" } });
  await ask(s, "/v1/capabilities", { ...bearer("test-test-test-test"), "X-Correlation-Id": "c1" });
  await ask(s, "/v1/capabilities", { "X-API-Key": "valid", "X-Correlation-Id": "c2" });
  await ask(s, "/v1/capabilities", { "X-API-Key": "stolen-key", "X-Correlation-Id": "c3" });
  assert.deepEqual(s.auth, [
    { event: "auth_success", correlationId: "c1", identity: `token:${fp6("test-test-test-test")}` },
    { event: "auth_success", correlationId: "c2", identity: `token:${fp6("valid")}` },
    { event: "auth_failed", correlationId: "c3", code: "INVALID_API_KEY" },
  ]);
  assert.equal(fp6("test"), "9f86d0");
  assert.doesNotMatch(JSON.stringify(s.auth), /test-test|valid"|stolen/);
});

test("digests are compared whole: an early and a late difference go the same way [AUTH-1007]", () => {
  const digest = createHash("sha256").update(token).digest("hex");
  const early = `${digest[0] === "0" ? "1" : "0"}${digest.slice(1)}`;
  const late = `${digest.slice(0, -1)}${digest.at(-1) === "0" ? "1" : "0"}`;
  assert.deepEqual(
    [isSame(digest, digest), isSame(early, digest), isSame(late, digest)],
    [true, false, false],
  );
  assert.throws(() => isSame(digest.slice(1), digest), /same byte length/);
});

test("a non-loopback address without a token or key is refused, and the refusal says what to set [AUTH-1002]", () => {
  for (const ORCHD_ADDR of ["0.0.0.0:8080", "10.0.0.7:8080", "[::]:8080", "example.org:80"]) {
    assert.throws(() => configOf({ environment: { ORCHD_ADDR } }), /NON_LOOPBACK_WITHOUT_TOKEN.*/);
    assert.throws(() => configOf({ environment: { ORCHD_ADDR } }), /LLORCH_API_TOKEN or ORCHD_API_KEYS set/);
    assert.equal(configOf({ environment: { ORCHD_ADDR, ...withToken } }).auth.bind_addr, ORCHD_ADDR);
    assert.equal(configOf({ environment: { ORCHD_ADDR, ...keys } }).auth.bind_addr, ORCHD_ADDR);
  }
  for (const ORCHD_ADDR of ["127.8.8.8:1", "localhost:1", "[::1]:1"])
    configOf({ environment: { ORCHD_ADDR } });
});

test("with the key gate on, capabilities want a key: none is 401 [BDD-12]", async (t) => {
  const s = await serving(t, { environment: keys });
  assert.deepEqual(await ask(s, "/v1/capabilities"), [401, "MISSING_API_KEY"]);
  assert.deepEqual(await ask(s, "/v1/capabilities", { "X-API-Key": "valid" }), ok);
});

test("with the key gate on, the key `invalid` is 403 [BDD-13]", async (t) => {
  const s = await serving(t, { environment: keys });
  const invalid = { "X-API-Key": "invalid" };
  assert.deepEqual(await ask(s, "/v1/capabilities", invalid), [403, "INVALID_API_KEY"]);
});

test(
  "a bearer token: omitted by this machine where that is allowed, missing, wrong, right with its fingerprint, and " +
    "wanted where others can reach us [BDD-42]",
  async (t) => {
    const path = "/v1/capabilities";
    const excusing = await serving(t, { environment: { ...withToken, AUTH_OPTIONAL: "true" } });
    assert.deepEqual(await ask(excusing, path), ok);
    const s = await serving(t, { environment: withToken });
    assert.deepEqual(await ask(s, path), [401, "MISSING_TOKEN"]);
    assert.deepEqual(await ask(s, path, bearer("another-token-of-16")), [401, "BAD_TOKEN"]);
    assert.deepEqual(await ask(s, path, bearer(token)), ok);
    assert.equal(s.auth.at(-1)?.identity, `token:${fp6(token)}`);
    const open = { ORCHD_ADDR: "0.0.0.0:8080" };
    assert.throws(() => configOf({ environment: open }), /NON_LOOPBACK_WITHOUT_TOKEN/);
    configOf({ environment: { ...open, ...withToken } });
  },
);
