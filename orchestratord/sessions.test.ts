// Sessions from outside: turns, budgets and warmth, as headers, frames and the session itself show them.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { parser, SessionInfo } from "@llama-orch/contract";
import { lastOf } from "./fixtures/client.ts";
import { running } from "./fixtures/running.ts";

const budgets = { tokens: 100, time_ms: 600_000, cost: 1 };
const { client } = await running(
  { after },
  { config: { session: { budgets, max_turns: 3, cost_per_token: 0.001 } } },
);

const at = (id: string) => client.get(`/v1/sessions/${id}`);

test("a session nobody has used shows the defaults, all seven fields among them [ORCH-2004, CHK-K-01]", async () => {
  const { status, body } = await at("unused");
  assert.equal(status, 200);
  assert.deepEqual(parser(SessionInfo).problems(body), []);
  assert.deepEqual(body, {
    ttl_ms_remaining: 600_000,
    turns: 0,
    kv_bytes: 0,
    kv_warmth: false,
    kv_migrated: false,
    tokens_budget_remaining: 100,
    time_budget_remaining_ms: 600_000,
    cost_budget_remaining: 1,
    budgets_enforced: { tokens: true, time: true, cost: true },
  });
});

test(
  "budgets are taken from at the end of a stream, hold back what no longer fits, and are shown all along " +
    "[ORCH-3099, OC-CORE-1024, OC-CTRL-2068, OC-METRICS-7111]",
  async () => {
    const admitted = await client.submit({ task_id: "one", session_id: "spent", max_tokens: 60 });
    // What an admitted task may still use up is taken from at once.
    assert.equal(admitted.headers.get("x-budget-tokens-remaining"), "40");
    const reading = await client.follow("one");
    await reading.rest();
    const frames = await client.frames("one");
    const { data } = frames.find(({ event }) => event === "metrics") ?? {};
    assert.equal(data.tokens_budget_remaining, 40);
    assert.ok(Math.abs(data.cost_budget_remaining - 0.94) < 1e-9);
    assert.equal(data.time_budget_remaining_ms, 540_000);
    const { body: left } = await at("spent");
    assert.equal(left.tokens_budget_remaining, 40);
    assert.ok(Math.abs(left.cost_budget_remaining - 0.94) < 1e-9);
    assert.ok(left.time_budget_remaining_ms > 540_000);
    assert.equal(left.turns, 1);
    const over = await client.submit({ task_id: "two", session_id: "spent", max_tokens: 41 });
    assert.deepEqual(
      [over.status, over.body.code, over.body.policy_label],
      [400, "INVALID_PARAMS", "budget"],
    );
    const fits = await client.submit({ task_id: "three", session_id: "spent", max_tokens: 30 });
    assert.equal(fits.status, 202);
    assert.equal(fits.headers.get("x-budget-tokens-remaining"), "10");
    const stream = await client.follow("three");
    assert.equal(stream.response.headers.get("x-budget-tokens-remaining"), "10");
    await stream.rest();
    assert.equal((await at("spent")).body.tokens_budget_remaining, 10);
  },
);

test("a session takes its turns and no more, and a new one begins with none", async () => {
  for (const id of ["t1", "t2", "t3"]) {
    await client.submit({ task_id: id, session_id: "turns" });
    assert.equal(lastOf(await client.frames(id)).event, "end");
  }
  const { status, body } = await client.submit({ task_id: "t4", session_id: "turns" });
  assert.deepEqual([status, body.code], [400, "INVALID_PARAMS"]);
  assert.match(body.message, /session_max_turns/);
  assert.equal((await client.submit({ task_id: "t5", session_id: "fresh" })).status, 202);
});

test("a session that was deleted begins anew, and deleting it again changes nothing [ORCH-2005, CHK-K-02]", async () => {
  await client.submit({ task_id: "gone", session_id: "deleted", max_tokens: 50 });
  await client.read("gone");
  assert.equal((await at("deleted")).body.turns, 1);
  for (let time = 0; time < 2; time++) {
    const { status, body } = await client.call("DELETE", "/v1/sessions/deleted");
    assert.deepEqual([status, body], [204, ""]);
    assert.deepEqual((await at("deleted")).body, (await at("never-used")).body);
  }
});

test("a best-effort session is warm where it was served before, and cold where it has to move [ORCH-3009]", async (t) => {
  const two = await running(t, { engines: [{}, {}], pool: { determinism: "best_effort" } });
  const run = async (task_id: string) => {
    await two.client.submit({ task_id, session_id: "warm" });
    const frames = await two.client.frames(task_id);
    return { frames, line: await two.log.ended(task_id) };
  };
  const first = await run("w1");
  assert.equal(first.line.kv_warmth, false);
  const second = await run("w2");
  assert.equal(second.line.pool_id, first.line.pool_id);
  assert.equal(second.line.kv_warmth, true);
  assert.equal((await two.client.get("/v1/sessions/warm")).body.kv_warmth, true);
  const metrics = second.frames.find(({ event }) => event === "metrics");
  assert.equal(metrics?.data.kv_warmth, true);
  await two.client.call("POST", `/v1/pools/${first.line.pool_id}/drain`, { deadline_ms: 0 });
  const moved = await run("w3");
  assert.notEqual(moved.line.pool_id, first.line.pool_id);
  assert.equal(moved.line.kv_warmth, false);
  assert.equal(moved.frames.find(({ event }) => event === "metrics")?.data.kv_warmth, false);
  assert.equal((await two.client.get("/v1/sessions/warm")).body.kv_warmth, false);
});

test("a session that lands on another replica is cold there, in frames, session and log, and nothing moved along [ORCH-3023]", async (t) => {
  const two = await running(t, { engines: [{}, {}], pool: { determinism: "best_effort" } });
  const prompt = "the same words every time";
  const run = async (task_id: string) => {
    await two.client.submit({ task_id, session_id: "moving", prompt });
    const frames = await two.client.frames(task_id);
    const { body: session } = await two.client.get("/v1/sessions/moving");
    return {
      metrics: frames.filter(({ event }) => event === "metrics"),
      line: await two.log.ended(task_id),
      session,
    };
  };
  const first = await run("m1");
  assert.equal((await run("m2")).session.kv_warmth, true);
  await two.client.call("POST", `/v1/pools/${first.line.pool_id}/drain`, { deadline_ms: 0 });
  const moved = await run("m3");
  assert.notEqual(moved.line.pool_id, first.line.pool_id);
  assert.ok(moved.metrics.length > 0);
  for (const told of [...moved.metrics.map(({ data }) => data), moved.session, moved.line]) {
    assert.deepEqual([told.kv_warmth, told.kv_migrated], [false, false]);
  }
});
