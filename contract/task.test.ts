import assert from "node:assert/strict";
import { test } from "node:test";
import { OrchError } from "./errors.ts";
import { engineSeed, isCorrelationId } from "./ids.ts";
import { bodyOf, parseTaskRequest, resolveTask } from "./task.ts";

const request = {
  task_id: "t-0",
  session_id: "s-0",
  workload: "completion",
  model_ref: "haiku",
  engine: "llamacpp",
  ctx: 0,
  priority: "interactive",
  max_tokens: 16,
  deadline_ms: 30_000,
};

function refusal(value: unknown): string {
  try {
    parseTaskRequest(value);
  } catch (error) {
    assert.ok(error instanceof OrchError);
    assert.equal(error.code, "INVALID_PARAMS");
    return error.message;
  }
  assert.fail("the request was accepted");
}

test("each required field is missed by its name", () => {
  for (const field of Object.keys(request)) {
    const { [field as keyof typeof request]: _, ...rest } = request;
    assert.match(refusal(rest), new RegExp(`^${field}: given nothing`));
  }
});

test("a wrong value is refused by the name of its field", () => {
  const rows: [string, unknown][] = [
    ["task_id", "a b"],
    ["task_id", ""],
    ["task_id", "x".repeat(129)],
    ["session_id", "s/0"],
    ["workload", "chat"],
    ["engine", "ollama"],
    ["ctx", -1],
    ["ctx", 1.5],
    ["priority", "urgent"],
    ["max_tokens", 0],
    ["deadline_ms", "soon"],
    ["seed", -1],
    ["seed", 2 ** 53],
    ["determinism", "exact"],
    ["kv_hint", "warm"],
    ["prompt", 7],
  ];
  for (const [field, value] of rows) {
    assert.match(refusal({ ...request, [field]: value }), new RegExp(`^${field}: given `));
  }
});

test("a wish about sampling that nobody would honour is refused, not ignored", () => {
  assert.match(
    refusal({ ...request, sampling: { temprature: 1 } }),
    /^sampling\.temprature: given an unknown key/,
  );
  assert.match(
    refusal({ ...request, sampling: { top_p: 2 } }),
    /^sampling\.top_p: given 2; accepted: a number 0\.\.1/,
  );
  assert.match(refusal({ ...request, sampling: { stop: [""] } }), /^sampling\.stop\[0\]: /);
});

test("each workload has its own texts", () => {
  const messages = [{ role: "user", content: "hi" }];
  const rows: [object, RegExp][] = [
    [{ prompt: "a", messages }, /^messages: prompt is given too/],
    [{ workload: "embedding" }, /^inputs: an embedding needs/],
    [{ workload: "embedding", prompt: "a", inputs: ["b"] }, /^inputs: an embedding needs/],
    [{ workload: "embedding", messages }, /^messages: only the workload completion/],
    [{ workload: "rerank", inputs: ["a"] }, /^query: a rerank needs/],
    [{ workload: "rerank", query: "a" }, /^inputs: a rerank needs/],
    [{ placement: { mode: "pin" } }, /^placement\.pin_pool_id: /],
    [{ placement: { require_device_mask: "0;1" } }, /^placement\.require_device_mask: .*separated by commas/],
  ];
  for (const [fields, message] of rows) assert.match(refusal({ ...request, ...fields }), message);
});

test("unknown fields and unknown output modes are ignored on the data plane", () => {
  const parsed = parseTaskRequest({ ...request, output_mode: "haiku", colour: "red" });
  assert.equal("colour" in parsed, false);
  assert.equal(parsed.output_mode, "haiku");
});

test("a task has every field resolved and no text in it", () => {
  const wire = { ...request, prompt: "secret words", tenant_id: "home", sampling: { temperature: 0.5 } };
  const parsed = parseTaskRequest(wire);
  const task = resolveTask(parsed, { defaultSeed: 42 });
  assert.deepEqual(task.sampling, {
    temperature: 0.5,
    top_k: 40,
    top_p: 0.95,
    min_p: 0.05,
    repeat_penalty: 1,
    presence_penalty: 0,
    frequency_penalty: 0,
    stop: [],
  });
  assert.equal(task.seed, 42);
  assert.equal(task.tenantId, "home");
  assert.deepEqual(task.placement, { mode: "auto", preferPools: [], avoidPools: [], allowFallback: true });
  assert.doesNotMatch(JSON.stringify(task), /secret words/);
  assert.deepEqual(bodyOf(parsed), { prompt: "secret words" });
});

test("the tenant of the caller's key wins over the one the request names", () => {
  const parsed = parseTaskRequest({ ...request, tenant_id: "mine", seed: 7 });
  const task = resolveTask(parsed, { tenantId: "bound", defaultSeed: 1 });
  assert.equal(task.tenantId, "bound");
  assert.equal(task.seed, 7);
});

test("the greedy profile always takes the likeliest token", () => {
  const parsed = parseTaskRequest({ ...request, sampler_profile_version: "greedy" });
  assert.equal(resolveTask(parsed, { defaultSeed: 0 }).sampling.temperature, 0);
});

test("the engine never sees the seed that means choose one", () => {
  assert.equal(engineSeed(4_294_967_295), 0);
  assert.equal(engineSeed(Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER % 4_294_967_295);
});

test("a correlation id is kept only when it is visible ASCII of a sensible length", () => {
  assert.equal(isCorrelationId("abc-123"), true);
  for (const value of ["", "a b", "ä", "a\r\nX: 1", "x".repeat(129), 5, undefined]) {
    assert.equal(isCorrelationId(value), false);
  }
});
