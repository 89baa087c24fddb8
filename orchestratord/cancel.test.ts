// A cancel against a stream in full flow: what readers, counters and engines see of it from outside.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Client, framesIn, lastOf, tokensOf } from "./fixtures/client.ts";
import { type Running, running } from "./fixtures/running.ts";

/** Cancels and looks at all that any reader of the task gets: tokens, then one end, and nothing more. */
async function cancelAfter(client: Client, taskId: string, tokens: number): Promise<void> {
  const readings = await Promise.all([client.follow(taskId), client.follow(taskId)]);
  await readings[0]?.tokens(tokens);
  assert.equal((await client.cancel(taskId)).status, 204);
  // It was counted before it was sent, so what is counted now is all that may ever be read.
  const counted = await client.metric("tokens_out_total");
  const all = await Promise.all(readings.map(async (reading) => framesIn(await reading.rest())));
  for (const frames of all) {
    const { event, data } = lastOf(frames);
    assert.deepEqual([event, data.canceled], ["end", true]);
    assert.equal(tokensOf(frames).length, data.tokens_out);
    assert.deepEqual(
      tokensOf(frames).map(({ data: { i } }) => i),
      Array.from({ length: data.tokens_out }, (_, index) => index),
    );
    const names = frames.map((frame) => frame.event);
    assert.ok(names.lastIndexOf("token") < names.length - 1);
  }
  const later = await client.frames(taskId, { query: "?from=0" });
  assert.equal(tokensOf(later).length, 0, "a reader that comes after the cancel");
  assert.equal(await client.metric("tokens_out_total"), counted);
}

async function untilEnginesRest({ engines, client }: Running): Promise<void> {
  for (const n of engines.keys()) {
    const idle = async () =>
      (await client.get(`/v1/pools/pool-${n}/health`)).body.metrics.active_leases === 0;
    while (!(await idle())) {}
  }
}

const endless = { max_tokens: 20_000 };
const engine = { ctx: 50_000, tokensPerSecond: 2000 };

test(
  "no token follows a cancel: while it runs at full speed, while it waits, and while a lost attempt is said again " +
    "[CHK-G-06]",
  async (t) => {
    const daemon = await running(t, { engines: [engine, engine] });
    const { client, engines, log } = daemon;
    for (const [n, tokens] of [1, 2, 7, 40, 200].entries()) {
      await client.submit({ ...endless, task_id: `running-${n}`, session_id: `running-${n}` });
      await cancelAfter(client, `running-${n}`, tokens);
    }
    await untilEnginesRest(daemon);

    const ahead = ["ahead-0", "ahead-1"];
    for (const task_id of ahead) await client.submit({ ...endless, task_id, session_id: task_id });
    await client.submit({ ...endless, task_id: "waiting", session_id: "waiting" });
    assert.equal((await client.cancel("waiting")).status, 204);
    for (const taskId of ahead) await client.cancel(taskId);
    await untilEnginesRest(daemon);
    assert.deepEqual(
      (await client.frames("waiting")).map(({ event }) => event),
      ["started", "end"],
    );

    // The first engine loses what it is given; the other hangs inside what was delivered already.
    await engines[0]?.faults({ cut_after: 30 });
    await engines[1]?.faults({ stall_after: 5 });
    const placement = { mode: "prefer", prefer_pools: ["pool-0"] };
    await client.submit({ ...endless, placement, task_id: "lost", session_id: "lost" });
    await log.until(({ event, task_id, pool_id }) => {
      return event === "task_placed" && task_id === "lost" && pool_id === "pool-1";
    });
    await cancelAfter(client, "lost", 20);
  },
);
