// Every way a task may fail that an installation of one machine can show, made by real conditions and by
// engines that fail: what a client is told, at the door and in its stream.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ErrorEnvelope, type ErrorRow, errorTable, parser } from "@llama-orch/contract";
import { type Client, lastOf } from "./fixtures/client.ts";
import { type Running, type RunningOptions, running } from "./fixtures/running.ts";

const taskCodes = [
  "ADMISSION_REJECT",
  "QUEUE_FULL_DROP_LRU",
  "INVALID_PARAMS",
  "POOL_UNREADY",
  "POOL_UNAVAILABLE",
  "REPLICA_EXHAUSTED",
  "DECODE_TIMEOUT",
  "WORKER_RESET",
  "INTERNAL",
  "DEADLINE_UNMET",
  "MODEL_DEPRECATED",
  "UNTRUSTED_ARTIFACT",
];

type Wrong = readonly [code: string, status: number, make: (on: Running) => Promise<object>];

const full = (full_policy: string): RunningOptions => ({
  pool: { queue: { capacity: 1, full_policy }, timeouts: { idle_ms: 60_000 } },
});

/** One runs and one waits; there is no room for a third. */
async function crowd({ client, engines }: Running): Promise<object> {
  await engines[0]?.faults({ stall_after: 1 });
  await client.submit({ task_id: "runs", session_id: "runs" });
  await (await client.follow("runs")).tokens(1);
  await client.submit({ task_id: "waits", session_id: "waits" });
  return { priority: "batch" };
}

const atTheDoor: readonly (readonly [RunningOptions, Wrong])[] = [
  [full("reject"), ["ADMISSION_REJECT", 429, crowd]],
  [full("drop-lru"), ["QUEUE_FULL_DROP_LRU", 429, crowd]],
  [{}, ["INVALID_PARAMS", 400, async () => ({ max_tokens: 0 })]],
  [{}, ["DEADLINE_UNMET", 400, async () => ({ deadline_ms: 0 })]],
  [{}, ["POOL_UNAVAILABLE", 503, async () => ({ model_ref: "unknown" })]],
  [
    {},
    [
      "POOL_UNREADY",
      503,
      async ({ client }) => {
        await client.call("POST", "/v1/pools/pool-0/drain", { deadline_ms: 0 });
        return {};
      },
    ],
  ],
];

for (const [options, [code, status, make]] of atTheDoor) {
  test(`a task that is refused with ${code} is told so in the envelope, with its engine`, async (t) => {
    const on = await running(t, options);
    const answer = await on.client.submit(await make(on));
    assert.equal(answer.status, status);
    assertEnvelope(answer.body, code);
  });
}

function assertEnvelope(body: unknown, code: string): void {
  assert.deepEqual(parser(ErrorEnvelope).problems(body), []);
  const { engine, retriable, ...envelope } = body as ErrorEnvelope;
  assert.equal(envelope.code, code);
  assert.equal(engine, "llamacpp");
  assert.ok(taskCodes.includes(envelope.code));
  assert.equal(retriable, errorTable[envelope.code].retriable);
}

const limits = { timeouts: { idle_ms: 60, first_token_ms: 200 }, supervision: { threshold: 1000 } };
const shared = await running({ after }, { pool: limits });

const inTheStream: readonly (readonly [code: string, faults: object])[] = [
  ["INVALID_PARAMS", { status: 400, message: "no such thing", times: 1 }],
  ["INTERNAL", { status: 401, message: "Invalid API Key", times: 1 }],
  ["WORKER_RESET", { flip_at: 2, cut_after: 4, times: 1 }],
  ["DECODE_TIMEOUT", { delay_ms: 60_000, times: 2 }],
  ["REPLICA_EXHAUSTED", { status: 500, times: 2 }],
];

for (const [code, faults] of inTheStream) {
  test(`a task that ends with ${code} says so in its error frame, with its engine`, async () => {
    await shared.engines[0]?.faults(faults);
    const id = code.toLowerCase();
    assert.equal((await shared.client.submit({ task_id: id, session_id: id })).status, 202);
    const { event, data } = lastOf(await shared.client.frames(id));
    assert.equal(event, "error");
    assertEnvelope(data, code);
  });
}

async function statusOf(client: Client, fields: object): Promise<string> {
  return (await client.submit(fields)).body.code;
}

test(
  "a task fails with one of twelve codes and no other, at the door and in its stream " +
    "[ORCH-2006, OC-CTRL-2030, CHK-F-09]",
  async () => {
    const rows = Object.entries(errorTable) as [string, ErrorRow][];
    const known = rows.filter(([, { family }]) => family === "task").map(([code]) => code);
    assert.deepEqual(known.sort(), [...taskCodes].sort());
    const seen = new Set([...atTheDoor.map(([, [code]]) => code), ...inTheStream.map(([code]) => code)]);
    // What the catalog alone can say is told by the core; nothing of this machine brings it about.
    const untold = taskCodes.filter((code) => !seen.has(code));
    assert.deepEqual(untold, ["MODEL_DEPRECATED", "UNTRUSTED_ARTIFACT"]);
    const { client } = shared;
    assert.equal(await statusOf(client, { max_tokens: -1 }), "INVALID_PARAMS");
    assert.equal(await statusOf(client, { deadline_ms: -1 }), "DEADLINE_UNMET");
  },
);
