// What is refused at the door and what is given up in the queue, with the words, headers and numbers that
// tell a client what to do.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { PoolConfig } from "@llama-orch/contract";
import { type Answer, type Client, lastOf } from "./fixtures/client.ts";
import { type Running, running } from "./fixtures/running.ts";

const plain = await running({ after });

/** One task runs and never ends, so that others wait. */
async function blocked(scope: { after(run: () => Promise<void>): void }, options: object): Promise<Running> {
  const daemon = await running(scope, options);
  await daemon.engines[0]?.faults({ stall_after: 1 });
  await daemon.client.submit({ task_id: "blocker", session_id: "blocker" });
  await (await daemon.client.follow("blocker")).tokens(1);
  return daemon;
}

function assertBackoff({ status, headers, body }: Answer, code: string, label: string): void {
  assert.equal(status, 429);
  assert.equal(body.code, code);
  assert.equal(body.policy_label, label);
  assert.equal(body.retriable, true);
  assert.equal(body.engine, "llamacpp");
  assert.ok(Number.isInteger(body.retry_after_ms) && body.retry_after_ms >= 1);
  assert.equal(headers.get("x-backoff-ms"), String(body.retry_after_ms));
  assert.equal(headers.get("retry-after"), String(Math.max(1, Math.ceil(body.retry_after_ms / 1000))));
}

const batch = (client: Client, task_id: string) =>
  client.submit({ task_id, session_id: task_id, priority: "batch" });
const interactive = (client: Client, task_id: string) => client.submit({ task_id, session_id: task_id });

test(
  "a full queue that rejects answers 429 with when to come again, and stays as it is " +
    "[ORCH-2007, OC-CTRL-2011, CHK-F-20, CHK-F-19, CHK-E-01]",
  async (t) => {
    const { client } = await blocked(t, { pool: { queue: { capacity: 1, full_policy: "reject" } } });
    await interactive(client, "waiting");
    assert.equal(await client.metric("queue_depth", { priority: "interactive" }), 1);
    const refused = await interactive(client, "refused");
    assertBackoff(refused, "ADMISSION_REJECT", "reject");
    assert.equal(refused.body.pool_id, "pool-0");
    assert.equal(await client.metric("queue_depth", { priority: "interactive" }), 1);
    assert.equal(await client.metric("admission_backpressure_events_total", { policy: "reject" }), 1);
    assert.equal(await client.metric("tasks_rejected_total", { reason: "ADMISSION_REJECT" }), 1);
    assert.equal((await client.get("/v2/tasks/waiting")).body.state, "waiting");
    assert.equal((await client.get("/v2/tasks/refused")).status, 404);
    await client.cancel("waiting");
    assert.equal(await client.metric("queue_depth", { priority: "interactive" }), 0);
  },
);

test(
  "a full queue that drops gives up its oldest batch task for the newcomer, and says so to its reader " +
    "[CHK-F-21, ADM-04, CHK-E-01]",
  async (t) => {
    const { client } = await blocked(t, { pool: { queue: { capacity: 1, full_policy: "drop-lru" } } });
    await batch(client, "oldest");
    const victim = await client.follow("oldest");
    assert.equal((await interactive(client, "newcomer")).status, 202);
    const { data } = lastOf(await client.frames("oldest"));
    await victim.rest();
    assert.equal(data.code, "QUEUE_FULL_DROP_LRU");
    assert.equal(data.policy_label, "drop-lru");
    assert.ok(data.retry_after_ms >= 1);
    assert.equal((await client.get("/v2/tasks/newcomer")).body.state, "waiting");
    assert.equal(await client.metric("admission_backpressure_events_total", { policy: "drop-lru" }), 1);
    assert.equal(await client.metric("tasks_rejected_total", { reason: "QUEUE_FULL_DROP_LRU" }), 1);
    assertBackoff(await batch(client, "lesser"), "QUEUE_FULL_DROP_LRU", "drop-lru");
  },
);

test("a full queue that sheds gives up its newest batch task, and refuses what is no better", async (t) => {
  const { client } = await blocked(t, { pool: { queue: { capacity: 2, full_policy: "shed-low-priority" } } });
  await batch(client, "older");
  await batch(client, "newer");
  assert.equal((await interactive(client, "urgent")).status, 202);
  const { data } = lastOf(await client.frames("newer"));
  assert.deepEqual([data.code, data.policy_label], ["ADMISSION_REJECT", "shed-low-priority"]);
  assert.equal((await client.get("/v2/tasks/older")).body.state, "waiting");
  assertBackoff(await batch(client, "third"), "ADMISSION_REJECT", "shed-low-priority");
});

test("a waiting task that is cancelled never reaches an engine, and one that expires says when it could not end", async (t) => {
  const { client, log } = await blocked(t, {});
  await interactive(client, "waiting");
  const reader = await client.follow("waiting");
  assert.equal((await client.cancel("waiting")).status, 204);
  const text = await reader.rest();
  assert.ok(text.includes('"canceled":true'));
  assert.equal(log.of("task_placed").filter(({ task_id }) => task_id === "waiting").length, 0);
  await client.submit({ task_id: "expiring", session_id: "expiring", deadline_ms: 150 });
  const { event, data } = lastOf(await client.frames("expiring"));
  assert.deepEqual([event, data.code], ["error", "DEADLINE_UNMET"]);
  assert.equal(data.pool_id, undefined);
});

test("a task that runs goes on past its deadline, and counts as late [ORCH-3081]", async (t) => {
  const { client } = await running(t, { engines: [{ tokensPerSecond: 100 }] });
  await client.submit({ task_id: "late", deadline_ms: 60 });
  assert.equal(lastOf(await client.frames("late")).event, "end");
  assert.equal(await client.metric("deadlines_met_ratio", { priority: "interactive" }), 0);
  assert.equal(await client.metric("deadlines_met_ratio", { priority: "batch" }), 1);
  await client.submit({ task_id: "in-time" });
  const metrics = (await client.frames("in-time")).filter(({ event }) => event === "metrics");
  assert.ok(metrics.length > 0);
  for (const { data } of metrics) assert.ok(data.on_time_probability >= 0 && data.on_time_probability <= 1);
  assert.equal(await client.metric("deadlines_met_ratio", { priority: "interactive" }), 0.5);
});

test("a client that asks faster than its class allows gets 429 rate-limit with the time of the next token [ORCH-3006]", async (t) => {
  const priorities: PoolConfig["admission"]["priorities"] = [
    { name: "interactive", rate_limit_rps: 1, weight: 8 },
    { name: "batch", weight: 1 },
  ];
  const { client } = await running(t, {
    pool: { admission: { priorities } },
    config: { auth: { api_keys: ["key-one", "key-two"], bind_addr: "127.0.0.1:0" } },
  });
  const one = client.as({ "x-api-key": "key-one" });
  const answers = [];
  for (const id of ["r1", "r2", "r3"]) answers.push(await interactive(one, id));
  assert.deepEqual(
    answers.slice(0, 2).map(({ status }) => status),
    [202, 202],
  );
  const [, , third] = answers as [Answer, Answer, Answer];
  assertBackoff(third, "ADMISSION_REJECT", "rate-limit");
  assert.ok(third.body.retry_after_ms <= 1000);
  assert.equal((await batch(one, "r4")).status, 202);
  assert.equal((await interactive(client.as({ "x-api-key": "key-two" }), "r5")).status, 202);
});

test("a tenant at its limit of live tasks, or of tasks per second, gets 429 quota before anything is queued [ORCH-3077]", async (t) => {
  const tenants = [
    { id: "busy", weight: 1, max_concurrent: 1 },
    { id: "quick", weight: 1, rps: 1 },
  ];
  const { client, engines } = await running(t, { pool: { admission: { fairness: { tenants } } } });
  await engines[0]?.faults({ stall_after: 1, times: 1 });
  await client.submit({ task_id: "held", tenant_id: "busy" });
  assertBackoff(await client.submit({ task_id: "more", tenant_id: "busy" }), "ADMISSION_REJECT", "quota");
  await client.cancel("held");
  assert.equal((await client.submit({ task_id: "then", tenant_id: "busy" })).status, 202);
  const answers: Answer[] = [];
  for (const id of ["q1", "q2", "q3"]) answers.push(await client.submit({ task_id: id, tenant_id: "quick" }));
  assertBackoff(answers.at(-1) as Answer, "ADMISSION_REJECT", "quota");
  assert.equal((await client.submit({ task_id: "other", tenant_id: "other" })).status, 202);
});

test("a deadline that cannot be met is refused with the earliest that can", async (t) => {
  const { client } = await running(t, { engines: [{ tokensPerSecond: 100 }] });
  for (const id of ["m1", "m2"]) {
    await client.submit({ task_id: id, session_id: id, max_tokens: 10 });
    await client.read(id);
  }
  const { status, body } = await client.submit({ task_id: "hopeless", max_tokens: 1000, deadline_ms: 500 });
  assert.deepEqual([status, body.code, body.engine], [400, "DEADLINE_UNMET", "llamacpp"]);
  assert.ok(body.earliest_finish_ms > 500);
  assert.equal(body.predicted_start_ms, 0);
  const past = await client.submit({ deadline_ms: 0 });
  assert.deepEqual([past.status, past.body.code], [400, "DEADLINE_UNMET"]);
});

test(
  "a prompt that fits by its bytes is not counted, another is counted by the engine, and without an answer the " +
    "task is told to come again [ORCH-3015]",
  async (t) => {
    const { client, engines } = await running(t, { engines: [{ ctx: 100 }], pool: { max_tokens_out: 90 } });
    const word = " kese";
    const fits = await client.submit({ task_id: "fits", prompt: word.repeat(16), max_tokens: 16 });
    assert.equal(fits.status, 202);
    await client.read("fits");
    // 60 words are 300 bytes and 61 tokens.
    const counted = await client.submit({ task_id: "counted", prompt: word.repeat(60), max_tokens: 30 });
    assert.equal(counted.status, 202);
    assert.equal(lastOf(await client.frames("counted")).event, "end");
    const over = await client.submit({ task_id: "over", prompt: word.repeat(60), max_tokens: 50 });
    assert.deepEqual([over.status, over.body.code], [400, "INVALID_PARAMS"]);
    const outside = await client.submit({ task_id: "outside", max_tokens: 91 });
    assert.deepEqual([outside.status, outside.body.code], [400, "INVALID_PARAMS"]);
    assert.match(outside.body.message, /max_tokens/);
    await engines[0]?.faults({ loading: true });
    const silent = await client.submit({ task_id: "silent", prompt: word.repeat(60), max_tokens: 30 });
    assert.deepEqual([silent.status, silent.body.code], [503, "POOL_UNREADY"]);
    assert.ok(silent.body.retry_after_ms >= 1);
    assert.equal(silent.headers.get("x-backoff-ms"), String(silent.body.retry_after_ms));
  },
);

const wrong: readonly (readonly [fields: object, message: RegExp])[] = [
  [{ sampling: { temprature: 1 } }, /sampling\.temprature/],
  [{ engine: "ollama" }, /engine/],
  [{ seed: 2 ** 53 }, /seed/],
  [{ max_tokens: 0 }, /max_tokens/],
  [{ ctx: 40_000 }, /ctx/],
  [{ messages: [{ role: "user", content: "x" }] }, /messages/],
  [{ task_id: "a b" }, /task_id/],
];

test("what is wrong with a request is named, and nothing of it is queued [ORCH-2008]", async () => {
  const { client } = plain;
  for (const [fields, message] of wrong) {
    const { status, body } = await client.submit(fields);
    assert.deepEqual(
      [status, body.code, body.retriable],
      [400, "INVALID_PARAMS", false],
      JSON.stringify(fields),
    );
    assert.match(body.message, message);
  }
  assert.deepEqual((await client.get("/v2/tasks")).body.tasks, []);
  assert.equal(await client.metric("tasks_enqueued_total"), 0);
});

test("a model that nobody serves is told at once, with when to try again", async () => {
  const { client } = plain;
  const { status, body, headers } = await client.submit({ model_ref: "unknown" });
  assert.deepEqual([status, body.code, body.retriable], [503, "POOL_UNAVAILABLE", true]);
  assert.equal(body.pool_id, undefined);
  assert.ok(Number(headers.get("retry-after")) >= 1);
  assert.equal(await client.metric("tasks_rejected_total", { reason: "POOL_UNAVAILABLE" }), 1);
});

test("every refusal carries its engine, and its pool where only one could have taken the task [OC-CTRL-2031, OC-CTRL-2032]", async (t) => {
  const two = await running(t, { engines: [{}, {}] });
  const { client } = two;
  const pinned = { placement: { mode: "pin", pin_pool_id: "pool-1" } };
  for (const id of ["pool-0", "pool-1"])
    await client.call("POST", `/v1/pools/${id}/drain`, { deadline_ms: 0 });
  const anywhere = await client.submit({});
  assert.deepEqual([anywhere.status, anywhere.body.code], [503, "POOL_UNREADY"]);
  assert.equal(anywhere.body.pool_id, undefined);
  const there = await client.submit(pinned);
  assert.deepEqual(
    [there.body.code, there.body.pool_id, there.body.engine],
    ["POOL_UNREADY", "pool-1", "llamacpp"],
  );
  for (const { body, headers } of [anywhere, there]) {
    assert.equal(body.retriable, true);
    assert.equal(headers.get("x-backoff-ms"), String(body.retry_after_ms));
  }
});
