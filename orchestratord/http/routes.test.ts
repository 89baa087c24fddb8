import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { ErrorEnvelope, faces, parser, type Route } from "@llama-orch/contract";
import { serving, taskRequest } from "./fixtures/serving.ts";

const notYet = (row: Route) => row.path.startsWith("/v2/catalog");
const contractRows: readonly Route[] = [...faces.orchqueue.routes, ...faces.operator.routes];
const ourRows = contractRows.filter((row) => !notYet(row));
const line = (method: string, path: string) => `${method} ${path}`;

/** A path that a client could send. */
const concrete = (path: string) => path.replaceAll(/\{\w+\}/g, "some-id");

test("the router has exactly the contract's rows, no more and no fewer", async (t) => {
  const { server } = await serving(t);
  const registered = server.registered.map(({ method, path }) => line(method, path)).sort();
  const rows = ourRows.map(({ method, path }) => line(method, path.replaceAll(/\{(\w+)\}/g, ":$1"))).sort();
  assert.deepEqual(registered, rows);
});

test("every path of the contract answers exactly its methods, and 405 with Allow to all others", async (t) => {
  const { fetch } = await serving(t);
  for (const path of new Set(ourRows.map((row) => row.path))) {
    const methods = ourRows.filter((row) => row.path === path).map((row) => row.method);
    for (const method of ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"]) {
      // DELETE /v2/nodes/register is the node with that name.
      if (path === "/v2/nodes/register" && method === "DELETE") continue;
      const answer = await fetch(concrete(path), { method });
      if ((methods as string[]).includes(method)) {
        assert.notEqual(answer.status, 405, line(method, path));
        continue;
      }
      assert.equal(answer.status, 405, line(method, path));
      const allow = (answer.headers.get("allow") as string).split(", ");
      assert.deepEqual(
        allow.filter((each) => each !== "DELETE").sort(),
        methods.filter((m) => m !== "DELETE").sort(),
      );
    }
  }
});

test("paths beside the contract are 404 in the envelope, older and foreign ones among them [CHK-A-03, CHK-B-03, OC-CTRL-2062]", async (t) => {
  const { fetch } = await serving(t);
  const parse = parser(ErrorEnvelope);
  for (const path of [
    "/",
    "/v1",
    "/v1/replicasets",
    "/v2/tasks/some/events",
    "/v2/meta/capabilities",
    "/v1/chat/completions",
    "/v1/tasks/",
    "//v1/tasks",
    "/V1/capabilities",
    "/v2/catalog/models",
  ]) {
    const answer = await fetch(path);
    assert.equal(answer.status, 404, path);
    const envelope = parse(await answer.json());
    assert.deepEqual([envelope.code, envelope.error, envelope.retriable], ["NOT_FOUND", "not found", false]);
    assert.match(answer.headers.get("x-correlation-id") as string, /^[0-9a-f-]{36}$/);
  }
});

test("each answer of a served route has the status and the shape its row promises", async (t) => {
  const { fetch, post, application } = await serving(t);
  await post("/v1/tasks", taskRequest());
  application.finish("poem-1", ["Moon"]);
  const id = ((await (await post("/v1/artifacts", { kind: "plan" })).json()) as { id: string }).id;
  const asked = (row: Route) => {
    const path = row.path.replace("/v1/artifacts/{id}", `/v1/artifacts/${id}`);
    const named = path.replace("/pools/{id}", "/pools/haiku").replace("{id}", "poem-1");
    if (row.method === "POST" && row.body !== undefined) return post(named, row.body.example);
    return fetch(named, { method: row.method });
  };
  for (const row of ourRows) {
    if (row.id === "createTask") continue;
    const answer = await asked(row);
    const text = await answer.text();
    if (row.tag === "nodes") {
      assert.equal(answer.status, 503, row.id);
      continue;
    }
    const reply = row.replies[answer.status];
    assert.notEqual(reply, undefined, `${row.id} answered ${answer.status} ${text}`);
    assert.equal(text === "", reply?.schema === undefined, row.id);
    if (reply?.schema === undefined || reply.contentType !== undefined) continue;
    assert.deepEqual(parser(reply.schema).problems(JSON.parse(text)), [], row.id);
  }
});

test("node routes of the home profile answer 503 and name the way to the cloud profile", async (t) => {
  const { fetch, post } = await serving(t);
  for (const answer of [
    await fetch("/v2/nodes"),
    await post("/v2/nodes/register", {}),
    await post("/v2/nodes/attic/heartbeat", {}),
    await fetch("/v2/nodes/attic", { method: "DELETE" }),
  ]) {
    const body = (await answer.json()) as Record<string, unknown>;
    assert.equal(answer.status, 503);
    assert.deepEqual([body.code, body.success], ["CLOUD_DISABLED", false]);
    assert.match(body.message as string, /ORCHESTRATORD_CLOUD_PROFILE=true/);
    assert.equal(answer.headers.get("retry-after"), null);
  }
});

const routed: readonly [ids: string, method: string, path: string, body: unknown, status: number][] = [
  ["CHK-A-04", "GET", "/v1/capabilities", undefined, 200],
  ["CHK-A-05", "GET", "/v1/pools/haiku/health", undefined, 200],
  ["CHK-A-06", "POST", "/v1/pools/haiku/drain", { deadline_ms: 0 }, 202],
  ["CHK-A-07", "POST", "/v1/pools/haiku/reload", { new_model_ref: "haiku@2" }, 200],
  ["CHK-A-08", "POST", "/v1/tasks", taskRequest({ task_id: "poem-2" }), 202],
  ["CHK-A-10", "POST", "/v1/tasks/poem-1/cancel", undefined, 204],
  ["CHK-A-11", "GET", "/v1/sessions/evening", undefined, 200],
  ["CHK-A-12", "DELETE", "/v1/sessions/evening", undefined, 204],
  ["CHK-A-13", "POST", "/v1/artifacts", {}, 201],
];

async function expectRouted(t: TestContext, index: number): Promise<void> {
  const [, method, path, body, status] = routed[index] as (typeof routed)[number];
  const { fetch, post } = await serving(t);
  const answer = body === undefined ? await fetch(path, { method }) : await post(path, body);
  assert.equal(answer.status, status);
}

test("capabilities are asked for at GET /v1/capabilities [CHK-A-04]", (t) => expectRouted(t, 0));
test("the health of a pool is at GET /v1/pools/{id}/health [CHK-A-05]", (t) => expectRouted(t, 1));
test("a pool is drained by POST /v1/pools/{id}/drain [CHK-A-06]", (t) => expectRouted(t, 2));
test("a pool is reloaded by POST /v1/pools/{id}/reload [CHK-A-07]", (t) => expectRouted(t, 3));
test("a task is handed in by POST /v1/tasks [CHK-A-08]", (t) => expectRouted(t, 4));
test("a task is cancelled by POST /v1/tasks/{id}/cancel [CHK-A-10]", (t) => expectRouted(t, 5));
test("a session is asked for at GET /v1/sessions/{id} [CHK-A-11]", (t) => expectRouted(t, 6));
test("a session is forgotten by DELETE /v1/sessions/{id} [CHK-A-12]", (t) => expectRouted(t, 7));
test("a document is stored by POST /v1/artifacts [CHK-A-13]", (t) => expectRouted(t, 8));

test("a stored document is read at GET /v1/artifacts/{id} [CHK-A-14]", async (t) => {
  const { fetch, post } = await serving(t);
  const { id } = (await (await post("/v1/artifacts", { kind: "doc" })).json()) as { id: string };
  assert.equal((await fetch(`/v1/artifacts/${id}`)).status, 200);
});

test("metrics are Prometheus text with a correlation id [CHK-H-01]", async (t) => {
  const { fetch } = await serving(t);
  const answer = await fetch("/metrics", { headers: { "X-Correlation-Id": "scrape" } });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("content-type"), "text/plain; version=0.0.4");
  assert.equal(answer.headers.get("x-correlation-id"), "scrape");
  assert.match(await answer.text(), /^# TYPE /);
});
