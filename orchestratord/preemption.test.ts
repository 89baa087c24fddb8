// Work that gives way to more urgent work, and goes on afterwards as if it had not.

import assert from "node:assert/strict";
import { test } from "node:test";
import { framesIn, lastOf, tokenBytes } from "./fixtures/client.ts";
import { running, type Scope } from "./fixtures/running.ts";

const hard = { preemption: { mode: "hard" } };

async function start(scope: Scope, features: readonly string[]) {
  const daemon = await running(scope, { engines: [{ tokensPerSecond: 300, features }], pool: hard });
  const { client } = daemon;
  await client.submit({ task_id: "long", session_id: "long", priority: "batch", max_tokens: 60 });
  await (await client.follow("long")).tokens(10);
  await client.submit({ task_id: "urgent", session_id: "urgent", max_tokens: 5 });
  assert.equal(lastOf(await client.frames("urgent")).event, "end");
  return { ...daemon, long: await client.read("long") };
}

test(
  "hard preemption stops a running batch task for an interactive one, which then goes on with equal bytes, says so, " +
    "and is counted; an engine that cannot be interrupted is left alone [ORCH-3086, ORCH-3087]",
  async (t) => {
    const { client, log, long } = await start(t, ["completion", "interruptible_decode"]);
    const order = log.of("task_placed").map(({ task_id }) => task_id);
    assert.deepEqual(order, ["long", "urgent", "long"]);
    const said = framesIn(long).find(({ data }) => data.preempted === true)?.data;
    assert.equal(said.resumable, true);
    assert.equal(said.resumed, "replayed");
    assert.equal((await log.ended("long")).preempted, true);
    assert.equal(await client.metric("preemptions_total", { mode: "hard" }), 1);
    assert.equal(await client.metric("resumptions_total"), 1);
    assert.equal(await client.metric("streams_resumed_total", { kind: "failover" }), 0);
    await client.submit({ task_id: "plain", session_id: "long", priority: "batch", max_tokens: 60 });
    assert.equal(tokenBytes(await client.read("plain")), tokenBytes(long));

    const other = await start(t, ["completion"]);
    const undisturbed = other.log.of("task_placed").map(({ task_id }) => task_id);
    assert.deepEqual(undisturbed, ["long", "urgent"]);
    assert.equal(await other.client.metric("preemptions_total"), 0);
    assert.equal((await other.log.ended("long")).preempted, false);
  },
);

test("soft preemption gives up a waiting batch task of a full queue, and both count it", async (t) => {
  const pool = { preemption: { mode: "soft" }, queue: { capacity: 1 } };
  const { client, engines } = await running(t, { pool });
  await engines[0]?.faults({ stall_after: 1 });
  await client.submit({ task_id: "blocker", session_id: "blocker" });
  await (await client.follow("blocker")).tokens(1);
  await client.submit({ task_id: "waits", session_id: "waits", priority: "batch" });
  assert.equal((await client.submit({ task_id: "urgent", session_id: "urgent" })).status, 202);
  const { data } = lastOf(await client.frames("waits"));
  assert.deepEqual([data.code, data.policy_label], ["ADMISSION_REJECT", "preempted"]);
  assert.equal(await client.metric("preemptions_total", { mode: "soft" }), 1);
});
