// The daemon as a provider: real requests, and answers held against the OpenAPI document that clients build
// on.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type Answer, type Frame, framesIn, lastOf } from "./fixtures/client.ts";
import { type Asked, type Interaction, Provider, pactsIn } from "./fixtures/provider.ts";
import { running } from "./fixtures/running.ts";

const root = join(import.meta.dirname, "..");
const provider = new Provider(join(root, "contract/openapi/orchqueue.yaml"));
const swapper = {
  swap: async (_pool: string, _from: string, to: string) =>
    to === "sonnet"
      ? { ok: true, engineVersion: "fake-1" }
      : { ok: false, engineVersion: "fake-1", error: "There is no such model." },
};
const { client, log, engines, url } = await running({ after }, { engines: [{}, {}], swapper });

type Step = readonly [method: string, path: string, status: number, body?: object];

/** Answers as they are declared, with a status that was meant. */
async function conforms([method, path, status, body]: Step): Promise<Answer> {
  const answer = await client.call(method, path, body);
  assert.equal(answer.status, status, `${method} ${path} ${JSON.stringify(answer.body)}`);
  assert.deepEqual(provider.problems({ method, path }, answer), []);
  return answer;
}

test(
  "control, capabilities and artifacts answer what the OpenAPI document says, good and bad requests alike " +
    "[CHK-D-01]",
  async () => {
    const document = { kind: "plan", content: { steps: ["one"] }, tags: ["t"] };
    const { body } = await conforms(["POST", "/v1/artifacts", 201, document]);
    const steps: readonly Step[] = [
      ["GET", "/v1/capabilities", 200],
      ["GET", `/v1/artifacts/${body.id}`, 200],
      ["GET", `/v1/artifacts/sha256:${"0".repeat(64)}`, 404],
      ["GET", "/v1/pools/pool-0/health", 200],
      ["GET", "/v1/pools/nobody/health", 200],
      ["POST", "/v1/pools/pool-0/reload", 200, { new_model_ref: "sonnet" }],
      ["POST", "/v1/pools/pool-0/reload", 409, { new_model_ref: "ode" }],
      ["POST", "/v1/pools/nobody/reload", 404, { new_model_ref: "ode" }],
      ["POST", "/v1/pools/pool-0/reload", 400, {}],
      ["POST", "/v1/pools/pool-0/drain", 202, { deadline_ms: 0 }],
      ["POST", "/v1/pools/nobody/drain", 404, { deadline_ms: 0 }],
      ["POST", "/v1/pools/pool-0/drain", 400, { deadline_ms: -1 }],
      ["GET", "/v1/sessions/any", 200],
      ["DELETE", "/v1/sessions/any", 204],
      ["GET", "/metrics", 200],
    ];
    for (const step of steps) await conforms(step);
  },
);

test("a checker that let anything pass would be no check", async () => {
  const { body, headers } = await client.get("/v1/pools/pool-0/health");
  const asked = { method: "GET", path: "/v1/pools/pool-0/health" };
  const wrong = (more: Partial<Answer>, of: Asked = asked) =>
    provider.problems(of, { status: 200, headers, body, ...more });
  assert.deepEqual(wrong({}), []);
  assert.match(wrong({ body: { ...body, live: "yes" } })[0] ?? "", /^the body is/);
  assert.match(wrong({ status: 201 })[0] ?? "", /does not declare 201/);
  assert.match(wrong({ headers: new Headers({ "content-type": "application/json" }) })[0] ?? "", /X-Corr/);
  assert.match(wrong({}, { method: "PUT", path: "/metrics" })[0] ?? "", /not in the document/);
});

const budgets = ["tokens-remaining", "time-remaining-ms", "cost-remaining"];

test("budgets stand on the 202 and on the stream, and in all six fields of the metrics frame [CHK-D-02]", async () => {
  const path = "/v1/tasks";
  const admitted = await conforms(["POST", path, 202, client.task({ task_id: "budgets" })]);
  const { response } = await client.follow("budgets");
  const stream = {
    status: response.status,
    headers: response.headers,
    body: await client.read("budgets"),
  };
  const problems = provider.problems({ method: "GET", path: "/v1/tasks/budgets/stream" }, stream);
  assert.deepEqual(problems, []);
  for (const name of budgets) {
    assert.match(admitted.headers.get(`x-budget-${name}`) ?? "", /^\d+(\.\d+)?$/, name);
    assert.match(response.headers.get(`x-budget-${name}`) ?? "", /^\d+(\.\d+)?$/, name);
  }
  const frame = framesIn(stream.body).find(({ event }) => event === "metrics")?.data;
  const { queue_depth, on_time_probability, kv_warmth } = frame;
  const { tokens_budget_remaining, time_budget_remaining_ms, cost_budget_remaining } = frame;
  for (const whole of [queue_depth, tokens_budget_remaining, time_budget_remaining_ms]) {
    assert.ok(Number.isInteger(whole) && whole >= 0);
  }
  assert.ok(on_time_probability >= 0 && on_time_probability <= 1);
  assert.deepEqual([typeof kv_warmth, typeof cost_budget_remaining], ["boolean", "number"]);
});

async function replayed(interaction: Interaction): Promise<string[]> {
  const { method, path, body, headers = {} } = interaction.request;
  return provider.interactionProblems(interaction, await client.call(method, path, body, headers));
}

const health: Interaction = {
  description: "the health of a pool",
  request: { method: "GET", path: "/v1/pools/pool-1/health", headers: { "x-correlation-id": "pact" } },
  response: {
    status: 200,
    headers: { "X-Correlation-Id": "pact" },
    body: { live: false, ready: true, metrics: { queue_depth: 7 }, last_error: null },
  },
};

test("every interaction of a pact is replayed, with its path, status, headers and the shape of its body [CHK-D-03]", async (t) => {
  for (const interaction of pactsIn(join(root, "contracts/pacts"))) {
    assert.deepEqual(await replayed(interaction), [], interaction.description);
  }
  const folder = mkdtempSync(join(tmpdir(), "llama-orch-pacts-"));
  t.after(() => rmSync(folder, { recursive: true }));
  assert.deepEqual(pactsIn(folder), []);
  const cancel = {
    description: "a cancel",
    request: { method: "POST", path: "/v1/tasks/never/cancel" },
    response: { status: 204 },
  };
  writeFileSync(join(folder, "page.json"), JSON.stringify({ interactions: [health, cancel] }));
  const interactions = pactsIn(folder);
  assert.equal(interactions.length, 2);
  for (const interaction of interactions) assert.deepEqual(await replayed(interaction), []);
  const { response } = health;
  const breaches = [
    { ...response, headers: { "X-Correlation-Id": "other" } },
    { ...response, body: { live: "yes" } },
    { ...response, body: { replicas: [] } },
  ];
  for (const breach of breaches) assert.equal((await replayed({ ...health, response: breach })).length, 1);
  const elsewhere = { ...health, request: { ...health.request, path: "/v1/artifacts/none" } };
  const missing = { ...elsewhere, response: { status: 200 } };
  assert.deepEqual(await replayed(missing), ["the status is 404"]);
});

test("a pact that counts on a path or a status nobody declared is refused [CHK-D-04]", async () => {
  const { request, response } = health;
  const unknown = { ...health, request: { ...request, path: "/v1/replicasets" } };
  assert.deepEqual(await replayed(unknown), ["GET /v1/replicasets is not in the document"]);
  const undeclared = { ...health, response: { ...response, status: 206 } };
  assert.deepEqual(await replayed(undeclared), ["getPoolHealth does not declare 206"]);
});

const names = (frames: readonly Frame[]) => [...new Set(frames.map(({ event }) => event))];

test(
  "a stream is text/event-stream with started, token, metrics and end, and with error where it fails " +
    "[OC-CTRL-2020]",
  async () => {
    await client.submit({ task_id: "good", session_id: "good" });
    await log.ended("good");
    await engines[1]?.faults({ flip_at: 2, cut_after: 5, times: 1 });
    await client.submit({ task_id: "good-again", session_id: "good" });
    const bad = await client.follow("good-again");
    assert.equal(bad.response.headers.get("content-type"), "text/event-stream");
    assert.deepEqual(names(await client.frames("good")), ["started", "token", "metrics", "end"]);
    assert.deepEqual(names(framesIn(await bad.rest())), ["started", "token", "metrics", "error"]);
  },
);

test("capabilities speak the version that the document has [OC-CTRL-2061]", async () => {
  const { body } = await client.get("/v1/capabilities");
  assert.match(body.api_version, /^\d+\.\d+\.\d+$/);
  assert.equal(body.api_version, provider.document.info.version);
});

test(
  "each task leaves an artifact whatever became of it, and every operation of the data plane has an example " +
    "[OC-CTRL-2067]",
  async () => {
    const about = { session_id: "kept", prompt: "a text of mine", max_tokens: 6 };
    await client.submit({ ...about, task_id: "kept-done" });
    await log.ended("kept-done");
    await engines[1]?.faults({ status: 400, message: "no", times: 1 });
    await client.submit({ ...about, task_id: "kept-failed" });
    await log.ended("kept-failed");
    await engines[1]?.faults({ stall_after: 2, times: 1 });
    await client.submit({ ...about, task_id: "kept-canceled" });
    await (await client.follow("kept-canceled")).tokens(2);
    await client.cancel("kept-canceled");
    for (const taskId of ["kept-done", "kept-failed", "kept-canceled"]) {
      const { body: task } = await client.get(`/v2/tasks/${taskId}`);
      const frames = await client.frames(taskId);
      const { body } = await client.get(`/v1/artifacts/${lastOf(frames).data.transcript}`);
      const { metadata, tags, events } = body;
      assert.equal(metadata.job_id, task.job_id);
      assert.ok(tags.includes("session:kept"));
      assert.equal(metadata.request.prompt.length, about.prompt.length);
      assert.ok(!JSON.stringify(body).includes(about.prompt));
      const { engine_version, model_ref, seed, tokens_out, decode_time_ms } = metadata;
      assert.deepEqual([engine_version, model_ref, seed], ["fake-1", "haiku", 7]);
      assert.equal(tokens_out, lastOf(frames).data.tokens_out ?? 0);
      assert.ok(Number.isInteger(decode_time_ms));
      assert.ok(events.length >= 2);
    }
    const { paths } = provider.document;
    for (const [path, methods] of Object.entries(paths).filter(([each]) => each.startsWith("/v1/"))) {
      for (const { operationId, requestBody, responses } of Object.values(methods).filter(isOperation)) {
        const contents = [requestBody, ...Object.values(responses)].flatMap((part) =>
          Object.values(part?.content ?? {}),
        );
        for (const { example } of contents) assert.notEqual(example, undefined, `${operationId} ${path}`);
      }
    }
  },
);

const isOperation = (part: unknown): part is (typeof provider.document.paths)[string][string] =>
  typeof part === "object" && part !== null && "operationId" in part;

test(
  "the frames of a stream are the same behind a proxy that speaks HTTP/2, and nobody compresses them " +
    "[OC-CTRL-2025]",
  async (t) => {
    const proxy = createHttp2Server();
    proxy.on("stream", async (stream, headers) => {
      const answer = await fetch(url + headers[":path"], { headers: { "accept-encoding": "gzip, br" } });
      stream.respond({ ":status": answer.status, "x-encoding": `${answer.headers.get("content-encoding")}` });
      for await (const piece of answer.body as ReadableStream<Uint8Array>) stream.write(piece);
      stream.end();
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const session = connect(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
    t.after(async () => {
      session.destroy();
      proxy.close();
    });
    await client.submit({ task_id: "proxied", session_id: "proxied", max_tokens: 30 });
    const request = session.request({ ":path": "/v1/tasks/proxied/stream" });
    let encoding: unknown;
    request.once("response", (headers) => {
      encoding = headers["x-encoding"];
    });
    let text = "";
    for await (const piece of request.setEncoding("utf8")) text += piece;
    assert.equal(text, await client.read("proxied"));
    assert.equal(framesIn(text).filter(({ event }) => event === "token").length, 30);
    assert.equal(encoding, "null");
  },
);
