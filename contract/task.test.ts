import assert from "node:assert/strict";
import { test } from "node:test";
import { OrchError } from "./errors.ts";
import { engineSeed, isCorrelationId } from "./ids.ts";
import { resolveSampling } from "./sampling.ts";
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
    ["ctx", 1e300],
    ["max_tokens", 1e300],
    ["expected_tokens", 1e300],
    ["deadline_ms", 1e300],
    ["deadline_ms", 32_000_000_000_000],
    ["task_id", "."],
    ["task_id", ".."],
    ["tenant_id", ".."],
    ["priority", "urgent"],
    ["max_tokens", 0],
    ["deadline_ms", "soon"],
    ["seed", -1],
    ["seed", 2 ** 53],
    ["determinism", "exact"],
    ["kv_hint", "warm"],
    ["prompt", 7],
    ["label", ""],
    ["label", "x".repeat(129)],
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

test("unknown wishes in any number are refused by name", () => {
  const sampling = Object.fromEntries(Array.from({ length: 250 }, (_, index) => [`wish${index}`, 1]));
  assert.match(refusal({ ...request, sampling }), /^sampling\.wish0: given an unknown key.*and 199 more/);
});

test("a JSON schema nested without end is refused", () => {
  let json_schema: object = {};
  for (let level = 0; level < 20_000; level++) json_schema = { not: json_schema };
  assert.match(
    refusal({ ...request, sampling: { json_schema } }),
    /^sampling\.json_schema: given .*64 levels/,
  );
});

test("a refused request's error carries the engine that the request names", () => {
  const engines = [
    [{ ...request, ctx: -1 }, "llamacpp"],
    [{ ...request, prompt: "a", messages: [{ role: "user", content: "b" }] }, "llamacpp"],
    [{ ...request, engine: "ollama" }, undefined],
    [{}, undefined],
    [null, undefined],
  ] as const;
  for (const [value, engine] of engines) {
    assert.throws(
      () => parseTaskRequest(value),
      (error: unknown) => error instanceof OrchError && error.toEnvelope().engine === engine,
    );
  }
});

test("each workload has its own texts", () => {
  const messages = [{ role: "user", content: "hi" }];
  const rows: [object, RegExp][] = [
    [{ prompt: "a", messages }, /^messages: prompt is given too/],
    [{ workload: "embedding" }, /^inputs: an embedding needs/],
    [{ workload: "embedding", prompt: "a", inputs: ["b"] }, /^inputs: an embedding needs/],
    [{ workload: "embedding", messages }, /^messages: only the workload completion/],
    [{ query: "a" }, /^query: only the workload rerank/],
    [{ inputs: ["a"] }, /^inputs: a completion takes/],
    [{ workload: "embedding", inputs: ["a"], query: "b" }, /^query: only the workload rerank/],
    [{ workload: "rerank", query: "a", inputs: ["b"], prompt: "c" }, /^prompt: a rerank takes/],
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

test("a task has its defaults, its wishes as they were sent, and no text in it", () => {
  const wire = { ...request, prompt: "secret words", tenant_id: "home", sampling: { temperature: 0.5 } };
  const parsed = parseTaskRequest(wire);
  const task = resolveTask(parsed, { defaultSeed: 42 });
  assert.deepEqual(task.sampling, { temperature: 0.5 });
  assert.equal("samplerProfile" in task, false);
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

test("what a task leaves open comes from its own profile, else from its pool's", () => {
  const ofPool = "greedy";
  const resolved = (fields: object) => {
    const { sampling, samplerProfile } = resolveTask(parseTaskRequest({ ...request, ...fields }), {
      defaultSeed: 0,
    });
    return resolveSampling(sampling, samplerProfile ?? ofPool);
  };
  const neutral = { repeat_penalty: 1, presence_penalty: 0, frequency_penalty: 0, stop: [] };
  assert.deepEqual(resolved({}), { temperature: 0, top_k: 0, top_p: 1, min_p: 0, ...neutral });
  assert.deepEqual(resolved({ sampling: { top_k: 5 } }).top_k, 5);
  assert.deepEqual(resolved({ sampler_profile_version: "default", sampling: { temperature: 0.5 } }), {
    temperature: 0.5,
    top_k: 40,
    top_p: 0.95,
    min_p: 0.05,
    ...neutral,
  });
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
