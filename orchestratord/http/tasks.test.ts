import assert from "node:assert/strict";
import { test } from "node:test";
import { AdmissionResponse, OrchError, parser } from "@llama-orch/contract";
import { warmUp } from "./fixtures/memory-application.ts";
import { serving, taskRequest } from "./fixtures/serving.ts";

test("a task is accepted with 202, its answer and the budget headers", async (t) => {
  const { post, application } = await serving(t);
  const answer = await post("/v1/tasks", taskRequest(), { "X-Correlation-Id": "walk-1" });
  assert.equal(answer.status, 202);
  const body = parser(AdmissionResponse)(await answer.json());
  assert.deepEqual(
    { ...body, job_id: "" },
    {
      task_id: "poem-1",
      job_id: "",
      queue_position: 2,
      predicted_start_ms: 850,
      backoff_ms: 0,
      streams: { sse: "/v1/tasks/poem-1/stream", sse_verbose: "/v1/tasks/poem-1/stream?verbose=true" },
      preparation: { steps: [warmUp] },
    },
  );
  const shown = (name: string) => answer.headers.get(name);
  assert.equal(shown("x-budget-tokens-remaining"), "12");
  assert.equal(shown("x-budget-time-remaining-ms"), "600000");
  assert.equal(shown("x-budget-cost-remaining"), "0.5");
  assert.equal(shown("x-correlation-id"), "walk-1");
  assert.equal(application.callers[0]?.correlationId, "walk-1");
  assert.equal(application.bodyBytes[0], Buffer.byteLength(JSON.stringify(taskRequest())));
});

test("the 202 names the two streams and lists the preparation [API-06]", async (t) => {
  const { post } = await serving(t);
  const body = (await (
    await post("/v1/tasks", taskRequest({ task_id: "a:b.c_d-1" }))
  ).json()) as AdmissionResponse;
  assert.deepEqual(body.streams, {
    sse: "/v1/tasks/a:b.c_d-1/stream",
    sse_verbose: "/v1/tasks/a:b.c_d-1/stream?verbose=true",
  });
  assert.deepEqual(body.preparation, { steps: [warmUp] });
});

test("refusals carry Retry-After in whole seconds and X-Backoff-Ms, and only with retry_after_ms [CHK-F-02]", async (t) => {
  const { post, application } = await serving(t);
  const refused = async (retry_after_ms?: number) => {
    const details = {
      policy_label: "reject",
      ...(retry_after_ms !== undefined && { retry_after_ms }),
    } as const;
    application.refusal = new OrchError("ADMISSION_REJECT", "The queue of pool haiku is full.", details);
    const answer = await post("/v1/tasks", taskRequest());
    assert.equal(answer.status, 429);
    return [answer.headers.get("retry-after"), answer.headers.get("x-backoff-ms")];
  };
  assert.deepEqual(await refused(1000), ["1", "1000"]);
  assert.deepEqual(await refused(2000), ["2", "2000"]);
  assert.deepEqual(await refused(2001), ["3", "2001"]);
  assert.deepEqual(await refused(1), ["1", "1"]);
  assert.deepEqual(await refused(), [null, null]);
});

test("each refusal keeps its status, its envelope and the caller's correlation id [BDD-35]", async (t) => {
  const { post, application } = await serving(t);
  for (const [code, status] of [
    ["ADMISSION_REJECT", 429],
    ["QUEUE_FULL_DROP_LRU", 429],
    ["POOL_UNAVAILABLE", 503],
    ["INTERNAL", 500],
    ["TASK_CONFLICT", 409],
    ["DEADLINE_UNMET", 400],
    ["MODEL_DEPRECATED", 403],
  ] as const) {
    application.refusal = new OrchError(code, "Said for the test.", { engine: "llamacpp" });
    const answer = await post("/v1/tasks", taskRequest(), { "X-Correlation-Id": code });
    const body = (await answer.json()) as Record<string, unknown>;
    assert.equal(answer.status, status, code);
    assert.deepEqual([body.code, body.message, body.engine], [code, "Said for the test.", "llamacpp"]);
    assert.equal(answer.headers.get("x-correlation-id"), code);
  }
});

test("a bug behind the port is 500 INTERNAL with the engine; its words go to the log and not to the caller", async (t) => {
  const { post, application, faults } = await serving(t);
  application.refusal = new TypeError("secret of the inside");
  const answer = await post("/v1/tasks", taskRequest(), { "X-Correlation-Id": "bug-1" });
  const text = await answer.text();
  assert.equal(answer.status, 500);
  assert.deepEqual([JSON.parse(text).code, JSON.parse(text).engine], ["INTERNAL", "llamacpp"]);
  assert.doesNotMatch(text, /secret/);
  assert.deepEqual(faults, [{ correlationId: "bug-1", error: application.refusal }]);
});

test("a repeated task gets its first answer, and other fields under the same id 409 [API-04]", async (t) => {
  const { post } = await serving(t);
  const first = await (await post("/v1/tasks", taskRequest())).text();
  assert.equal(await (await post("/v1/tasks", taskRequest())).text(), first);
  assert.equal((await post("/v1/tasks", taskRequest({ seed: 8 }))).status, 409);
  for (const task_id of ["", "a b", "ä", "..", "x".repeat(129), 7, null]) {
    assert.equal((await post("/v1/tasks", taskRequest({ task_id }))).status, 400, String(task_id));
  }
  assert.equal((await post("/v1/tasks", taskRequest({ task_id: "x".repeat(128) }))).status, 202);
});

test("cancelling answers 204 for tasks that run, are over, or never were", async (t) => {
  const { fetch, post, application } = await serving(t);
  await post("/v1/tasks", taskRequest());
  for (const id of ["poem-1", "poem-1", "never", "%00", "a%2Fb", "x".repeat(3000)]) {
    const answer = await fetch(`/v1/tasks/${id}/cancel`, { method: "POST" });
    assert.deepEqual([answer.status, await answer.text()], [204, ""], id);
    assert.match(answer.headers.get("x-correlation-id") as string, /^[0-9a-f-]{36}$/);
  }
  assert.equal(application.streamOf("poem-1").isOver, true);
});
