// Who may see what: keys, tokens and tenants together, on the routes that name tasks, sessions and artifacts.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { running } from "./fixtures/running.ts";

const token = "the-token-of-the-operator";
const keys = { red: "red-secret-0001", blue: "blue-secret-0002", free: "free-secret-0003" };
const { client, log, engines } = await running(
  { after },
  {
    config: {
      auth: {
        bind_addr: "127.0.0.1:0",
        token,
        api_keys: [`red=${keys.red}`, `blue=${keys.blue}`, keys.free],
      },
      telemetry: { log_level: "debug" },
    },
  },
);
const red = client.as({ "x-api-key": keys.red });
const blue = client.as({ "x-api-key": keys.blue });
const free = client.as({ "x-api-key": keys.free });
const operator = client.as({ authorization: `Bearer ${token}` });
const prompt = "a prompt nobody else may read";

test("without a credential, or with a wrong one, nothing but the metrics is answered [OC-CTRL-2040]", async () => {
  const paths = ["/v1/capabilities", "/v1/sessions/s", "/v1/tasks/t/stream", "/v2/tasks", "/v2/pools"];
  for (const path of paths) {
    assert.equal((await client.get(path)).status, 401, path);
    assert.equal((await client.as({ "x-api-key": "wrong" }).get(path)).status, 403, path);
    assert.equal(
      (await client.as({ authorization: "Bearer wrong-token-of-16" }).get(path)).status,
      401,
      path,
    );
  }
  assert.equal((await client.submit()).status, 401);
  assert.equal((await client.get("/metrics")).status, 200);
  for (const who of [red, free, operator]) assert.equal((await who.get("/v1/capabilities")).status, 200);
});

test("a task belongs to the tenant of its key, and for any other tenant it is not there", async () => {
  const { status } = await red.submit({ task_id: "mine", session_id: "s", tenant_id: "blue", prompt });
  assert.equal(status, 202);
  await red.read("mine");
  const view = (await red.get("/v2/tasks/mine")).body;
  assert.equal(view.tenant_id, "red");
  for (const path of ["/v2/tasks/mine", "/v1/tasks/mine/stream"]) {
    const { status: answer, body } = await blue.get(path);
    assert.deepEqual([answer, body.code], [404, "NOT_FOUND"], path);
  }
  assert.deepEqual((await blue.get("/v2/tasks")).body.tasks, []);
  assert.deepEqual((await blue.get("/v2/tasks?tenant=red")).body.tasks, []);
  assert.equal((await red.get("/v2/tasks")).body.tasks.length, 1);
  assert.equal((await red.get("/v1/sessions/s")).body.turns, 1);
  assert.equal((await blue.get("/v1/sessions/s")).body.turns, 0);
});

test("two tenants may use one name for two tasks, and each sees and cancels its own", async () => {
  await engines[0]?.faults({ stall_after: 1, times: 1 });
  await red.submit({ task_id: "same", session_id: "same" });
  await (await red.follow("same")).tokens(1);
  assert.equal((await blue.submit({ task_id: "same", session_id: "same", prompt: "other" })).status, 202);
  assert.equal((await blue.cancel("same")).status, 204);
  assert.equal((await blue.get("/v2/tasks/same")).body.state, "canceled");
  assert.equal((await red.get("/v2/tasks/same")).body.state, "running");
  assert.equal((await red.cancel("same")).status, 204);
});

test("a caller that is bound to no tenant sees all of them, and may ask for one", async () => {
  await free.submit({ task_id: "unbound", session_id: "u", tenant_id: "green" });
  await free.read("unbound");
  for (const who of [free, operator]) {
    const { body } = await who.get("/v2/tasks");
    const tenants = new Set(body.tasks.map(({ tenant_id }: { tenant_id: string }) => tenant_id));
    assert.deepEqual([...tenants].sort(), ["blue", "green", "red"]);
    const green = (await who.get("/v2/tasks?tenant=green")).body.tasks;
    assert.deepEqual(
      green.map(({ task_id }: { task_id: string }) => task_id),
      ["unbound"],
    );
    assert.equal((await who.get("/v2/tasks/mine")).body.tenant_id, "red");
  }
});

test("an artifact is there for its own tenant alone", async () => {
  const created = await red.call("POST", "/v1/artifacts", {
    kind: "plan",
    tags: [],
    content: {},
    metadata: {},
  });
  assert.equal(created.status, 201);
  const path = `/v1/artifacts/${created.body.id}`;
  assert.equal((await red.get(path)).status, 200);
  assert.equal((await blue.get(path)).status, 404);
});

test(
  "no secret and no prompt is in any log line, answer, metric or stream, whatever was sent " +
    "[OC-CTRL-2041]",
  async () => {
    const secrets = [token, ...Object.values(keys)];
    const wrong = "Bearer wrong-but-secret-too";
    const echo = await client.as({ authorization: wrong }).submit({ task_id: "secret", prompt });
    await engines[0]?.faults({ status: 400, message: `upstream said ${keys.red} and ${token}` });
    await red.submit({ task_id: "echoed", session_id: "echo", prompt });
    const seen = [
      log.raw.join(""),
      JSON.stringify(echo.body),
      await red.read("echoed"),
      await red.read("mine"),
      (await client.get("/metrics")).body,
      JSON.stringify((await operator.get("/v2/tasks")).body),
      JSON.stringify((await operator.get("/v2/pools")).body),
    ].join("\n");
    for (const secret of [...secrets, "wrong-but-secret-too", prompt]) {
      assert.ok(!seen.includes(secret), `${secret} was seen`);
    }
    const identities = new Set(
      log.all.map(({ identity }) => identity).filter((identity) => identity !== undefined),
    );
    assert.ok(identities.size >= 4);
    for (const identity of identities) assert.match(identity as string, /^token:[0-9a-f]{6}$/);
  },
);

test("what an engine echoes of a key is in no log line and no error, and no line holds its headers [OC-ADAPT-OAI-6020]", async (t) => {
  const own = await running(t, { config: { telemetry: { log_level: "trace" } } });
  const message = "Authorization: Bearer sk-live-1234567890 X-API-Key: sk-other-0987654321 refused";
  const seen: string[] = [];
  for (const [n, faults] of [{ status: 401 }, { status: 500 }, { error_after: 2 }].entries()) {
    await own.engines[0]?.faults({ ...faults, message });
    await own.client.submit({ task_id: `echo-${n}`, session_id: `echo-${n}` });
    seen.push(await own.client.read(`echo-${n}`));
    const line = await own.log.ended(`echo-${n}`);
    assert.equal(line.event, "task_failed");
  }
  assert.match(seen[0] ?? "", /Bearer \*{4}[0-9a-f]{6} X-API-Key: \*{4}[0-9a-f]{6} refused/);
  seen.push(...own.log.raw);
  assert.ok(!seen.join("").includes("sk-"));
  for (const line of own.log.all) assert.ok(!("headers" in line) && !("headers" in (line.details ?? {})));
});
