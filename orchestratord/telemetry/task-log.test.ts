// The log of a daemon with traffic: what stands in the lines of a task, from its admission to its end.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { LogRecord, parser } from "@llama-orch/contract";
import { Orchestrator } from "@llama-orch/core";
import { lastOf } from "../fixtures/client.ts";
import { configFor, Lines, running } from "../fixtures/running.ts";
import { Tasks } from "../tasks.ts";
import { createLog } from "./log.ts";
import { Narrator } from "./narration.ts";
import { TaskLog } from "./task-log.ts";

const correlation = "as-the-caller-named-it";
const swapper = { swap: async () => ({ ok: false, engineVersion: null, error: "There is no such model." }) };
const { client, log, engines } = await running({ after }, { engines: [{ quant: "Q4_K_M" }], swapper });
const { body: admitted } = await client.submit(
  { task_id: "logged", session_id: "logging", seed: undefined },
  { "x-correlation-id": correlation },
);
const frames = await client.frames("logged");
const terminal = await log.ended("logged");
await client.submit({ task_id: "refused", model_ref: "unknown" });
const schema = { sampling: { json_schema: { type: "object" } } };
const pin = { mode: "pin", pin_pool_id: "pool-0" };
await client.submit({ task_id: "too-wide", ...schema });
await client.submit({ task_id: "pinned", ...schema, placement: pin });
await client.submit({ task_id: "avoiding", placement: { mode: "auto", avoid_pools: ["pool-0"] } });
await engines[0]?.faults({ status: 400, message: "no", times: 1 });
await client.submit({ task_id: "failed", session_id: "logging" });
await log.ended("failed");
await engines[0]?.faults({ stall_after: 1, times: 1 });
await client.submit({ task_id: "canceled", session_id: "logging" });
await (await client.follow("canceled")).tokens(1);
await client.cancel("canceled");
const walked = client.task({ task_id: "walked", session_id: "walked", max_tokens: 1 });
await client.call("POST", "/v1/tasks", walked, { "x-correlation-id": "walk-9" });
await log.ended("walked");
await client.call("POST", "/v1/pools/pool-0/reload", { new_model_ref: "other" });
await client.call("POST", "/v1/pools/pool-0/drain", { deadline_ms: 0 });

const lines = (taskId: string) => log.all.filter(({ task_id }) => task_id === taskId);

test("every line is a record of the contract", () => {
  const problems = log.all.flatMap((line) => parser(LogRecord).problems(line));
  assert.deepEqual(problems, []);
  assert.ok(log.all.length > 15);
});

test("one correlation id goes from the admission over the placement and the first token to the end [BDD-29]", () => {
  assert.deepEqual(
    lines("logged").map(({ event, correlation_id }) => [event, correlation_id]),
    ["task_admitted", "task_placed", "stream_started", "task_done"].map((event) => [event, correlation]),
  );
});

const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test("the caller's correlation id is on every answer and in the log, and a misfit is replaced [OC-CTRL-2052]", async () => {
  const asked = [
    ["POST", "/v1/tasks", 202, walked],
    ["GET", "/v1/tasks/logged/stream", 200],
    ["POST", "/v1/tasks/never/cancel", 204],
    ["POST", "/v1/tasks", 400, {}],
    ["GET", "/v1/artifacts/none", 404],
    ["GET", "/nowhere", 404],
    ["PUT", "/v1/tasks", 405],
    ["GET", "/metrics", 200],
  ] as const;
  for (const [id, kept] of [
    ["walk-9", true],
    ["~".repeat(128), true],
    ["~".repeat(129), false],
    ["two words", false],
    [undefined, false],
  ] as const) {
    for (const [method, path, status, body] of asked) {
      const headers = id === undefined ? {} : { "x-correlation-id": id };
      const answer = await client.call(method, path, body, headers);
      assert.equal(answer.status, status, `${method} ${path}`);
      const given = answer.headers.get("x-correlation-id") ?? "";
      if (kept) assert.equal(given, id, `${method} ${path}`);
      else assert.match(given, uuid4, `${method} ${path}`);
    }
  }
  const told = lines("walked").map(({ correlation_id }) => correlation_id);
  assert.deepEqual([...new Set(told)], ["walk-9"]);
});

test("every line of a task has its job [ORCH-3024]", async () => {
  for (const { job_id } of lines("logged")) assert.equal(job_id, admitted.job_id);
  assert.equal(frames[0]?.data.job_id, admitted.job_id);
  const { body } = await client.get(`/v1/artifacts/${lastOf(frames).data.transcript}`);
  assert.equal(body.metadata.job_id, admitted.job_id);
});

const whole =
  "job_id session_id client_id engine engine_version pool_id replica_id model_id quant ctx tensor_split " +
  "sampler_profile_version kv_warmth queue_position predicted_start_ms queue_time_ms decode_time_ms tokens_in " +
  "tokens_out eviction_events oom_events driver_reset_events";

test("the last line of a task names every field, and what is not known is null [ORCH-3027]", () => {
  for (const line of [terminal, ...lines("failed").slice(-1), ...lines("canceled").slice(-1)]) {
    for (const field of whole.split(" ")) assert.ok(field in line, `${field} in ${line.event}`);
  }
  const { quant, tensor_split, eviction_events, tokens_in, tokens_out, engine_version } = terminal;
  assert.deepEqual(
    { quant, tensor_split, eviction_events, tokens_in, tokens_out, engine_version },
    {
      quant: "Q4_K_M",
      tensor_split: null,
      eviction_events: null,
      tokens_in: 6,
      tokens_out: 8,
      engine_version: "fake-1",
    },
  );
});

test("the record of a task names where it ran and how long that took, with counts and latencies as numbers [OC-CORE-1040, OC-ADAPT-OAI-6031]", () => {
  const { job_id, session_id, engine, pool_id, replica_id, model_id, quant, ctx, kv_warmth } = terminal;
  assert.deepEqual(
    { job_id, session_id, engine, pool_id, replica_id, model_id, quant, ctx, kv_warmth },
    {
      job_id: admitted.job_id,
      session_id: "logging",
      engine: "llamacpp",
      pool_id: "pool-0",
      replica_id: "r0",
      model_id: "haiku",
      quant: "Q4_K_M",
      ctx: 0,
      kv_warmth: false,
    },
  );
  const { queue_time_ms, first_token_ms, decode_time_ms, tokens_in, tokens_out } = terminal;
  for (const measured of [queue_time_ms, first_token_ms, decode_time_ms]) {
    assert.ok(typeof measured === "number" && measured >= 0 && measured < 10_000);
  }
  assert.deepEqual([tokens_in, tokens_out], [6, 8]);
});

test("admission and end say whose the task is and what it may expect [ORCH-3094]", () => {
  const expected = {
    tenant_id: "default",
    priority: "interactive",
    weight: 8,
    deadline_ms: 60_000,
    preempted: false,
  };
  for (const event of ["task_admitted", "task_done"]) {
    const line = lines("logged").find((each) => each.event === event);
    const { tenant_id, priority, weight, deadline_ms, preempted } = line ?? {};
    assert.deepEqual({ tenant_id, priority, weight, deadline_ms, preempted }, expected);
    const chance = line?.on_time_probability ?? -1;
    assert.ok(chance >= 0 && chance <= 1);
  }
});

test("the admission and the started frame tell one place and one time [ORCH-3029, OC-CTRL-2050]", () => {
  const [line] = lines("logged");
  const { queue_position, predicted_start_ms } = frames[0]?.data ?? {};
  assert.ok(Number.isInteger(queue_position) && Number.isInteger(predicted_start_ms));
  assert.deepEqual([line?.queue_position, line?.predicted_start_ms], [queue_position, predicted_start_ms]);
});

test("a placement says why it was made, in the log and as metrics [PLACE-3906]", async () => {
  const line = lines("logged").find(({ event }) => event === "task_placed");
  const {
    selected_pool_id,
    candidates_considered,
    filters_applied,
    tie_breakers_applied,
    pinned,
    fallback_used,
  } = line ?? {};
  assert.deepEqual(
    { selected_pool_id, candidates_considered, filters_applied, tie_breakers_applied, pinned, fallback_used },
    {
      selected_pool_id: "pool-0",
      candidates_considered: { candidates_total: 1, candidates_feasible: 1 },
      filters_applied: [],
      tie_breakers_applied: [],
      pinned: false,
      fallback_used: false,
    },
  );
  assert.equal(
    await client.metric("placement_decisions_total", {
      outcome: "assigned",
      pinned: "false",
      fallback: "false",
    }),
    4,
  );
  assert.equal(await client.metric("placement_candidates_considered"), 1);
});

test("decode_time_ms has one value everywhere, and decode_ms repeats it [ORCH-3310]", async () => {
  const { data } = lastOf(frames);
  assert.equal(data.decode_ms, data.decode_time_ms);
  assert.equal(terminal.decode_time_ms, data.decode_time_ms);
  const { metadata } = (await client.get(`/v1/artifacts/${data.transcript}`)).body;
  assert.equal(metadata.decode_time_ms, data.decode_time_ms);
});

test("what happens is told in words, and ids stay in their own fields [ORCH-3312]", () => {
  const told = new Set(log.all.map(({ event }) => event));
  const events = "task_admitted task_placed stream_started task_done task_canceled task_failed task_refused";
  for (const event of `${events} pool_draining pool_drained pool_reloaded replica_ready`.split(" ")) {
    assert.ok(told.has(event), event);
  }
  for (const { human, event } of log.all) {
    assert.ok(human !== undefined && human.length > 10, event);
    const ids = human.match(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,}/g) ?? [];
    assert.ok(ids.join("").length * 2 < human.length, human);
    assert.match(human, /^[A-Z].*[.…]$/);
  }
});

test("a refusal is a warning that names its code and when to come again", () => {
  const [line] = lines("refused");
  assert.deepEqual(
    [line?.event, line?.level, line?.error_kind],
    ["task_refused", "warn", "POOL_UNAVAILABLE"],
  );
  assert.ok((line?.retry_after_ms ?? 0) >= 1);
});

test("a task that no replica can take is logged with what was looked at and why, and counted [OC-CORE-DET-1044]", async () => {
  const told = ["refused", "too-wide", "pinned", "avoiding"].map((taskId) => {
    const [line] = lines(taskId);
    const { candidates_total, candidates_feasible } = line?.candidates_considered ?? assert.fail(taskId);
    return [candidates_total, candidates_feasible, line?.reason, line?.pinned];
  });
  assert.deepEqual(told, [
    [0, 0, "POOL_UNREADY", false],
    [1, 0, "EXTENSIONS_UNSATISFIED", false],
    [1, 0, "pinned_pool_infeasible", true],
    [1, 0, "MASK_UNSATISFIED", false],
  ]);
  const count = (pinned: string) =>
    client.metric("placement_decisions_total", { outcome: "no_capacity", pinned, fallback: "false" });
  assert.deepEqual([await count("false"), await count("true")], [3, 1]);
});

test("whoever listens to the narration changes no field and no level of a line, and adds but its sentence [ORCH-3301]", () => {
  const event = { type: "TimerFired", seq: 1, nowMs: 1, timer: "t" } as const;
  const effects = [
    { type: "DrainPool", poolId: "haiku", deadlineAtMs: 9 },
    { type: "EndDrain", poolId: "haiku", forceStopped: true, durationMs: 5, finalLeaseCount: 1 },
    { type: "Note", about: "attempt-lost", poolId: "haiku", label: "crash" },
  ] as const;
  const linesOf = (listens: boolean) => {
    const written = new Lines();
    const narrator = new Narrator({ emittedBy: "orchestratord@1", nowMs: () => 0, maskUuids: false });
    const heard: string[] = [];
    if (listens) narrator.listen(({ human }) => heard.push(human));
    taskLogOf(written, narrator).handled(event, effects);
    assert.equal(heard.length, listens ? effects.length : 0);
    return written.all.map(({ timestamp: _timestamp, ...rest }) => rest);
  };
  const alone = linesOf(false);
  assert.deepEqual(linesOf(true), alone);
  const [version, service] = ["1", "orchestratord"];
  const told = alone.map(({ human: _human, ...fields }) => fields);
  assert.deepEqual(told, [
    { level: "info", service, version, event: "pool_draining", pool_id: "haiku" },
    { level: "info", service, version, event: "pool_drained", pool_id: "haiku" },
    { level: "warn", service, version, event: "attempt_lost", pool_id: "haiku", reason: "crash" },
  ]);
});

test("a note that asks for a look is a warning, and any other is not", () => {
  const lines = new Lines();
  const narrator = new Narrator({ emittedBy: "orchestratord@1", nowMs: () => 0, maskUuids: false });
  const taskLog = taskLogOf(lines, narrator);
  const event = { type: "TimerFired", seq: 1, nowMs: 1, timer: "t" } as const;
  const notes = ["slo-frozen", "class-shed", "breaker-opened", "class-restored", "resumed"] as const;
  taskLog.handled(
    event,
    notes.map((about) => ({ type: "Note", about, label: "haiku" })),
  );
  assert.deepEqual(
    lines.all.map(({ event: name, level, reason }) => [name, level, reason]),
    [
      ["slo_frozen", "warn", "haiku"],
      ["class_shed", "warn", "haiku"],
      ["breaker_opened", "warn", "haiku"],
      ["class_restored", "info", "haiku"],
      ["resumed", "info", "haiku"],
    ],
  );
});

test("a seed that was left out is logged as it was made", () => {
  assert.equal(lines("logged")[0]?.seed, frames[0]?.data.seed);
});

function taskLogOf(written: Lines, narrator: Narrator): TaskLog {
  const level = "info";
  const common = { service: "orchestratord", version: "1", level, format: "json", secrets: [] } as const;
  return new TaskLog({
    log: createLog({ ...common, write: (line) => written.take(line) }),
    narrator,
    tasks: new Tasks(1000),
    core: new Orchestrator(1),
    config: configFor({ after: async (run) => void after(run) }, {}),
  });
}
