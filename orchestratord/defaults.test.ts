// What a client gets that asks for nothing in particular: the determinism of the pool, a seed, and a daemon
// whose every handler leaves the traces that D-49 gives it.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { type Client, type Frame, lastOf, textOf } from "./fixtures/client.ts";
import { configFor, type Lines, type Running, running } from "./fixtures/running.ts";
import { servedRoutes } from "./http/routes.ts";

const unsaid = { determinism: undefined };

function determinismOf(t: Parameters<typeof configFor>[0], pool: object): string | undefined {
  const common = { id: "p", engine: "llamacpp", model: "haiku", devices: [], allow_cpu: true };
  return configFor(t, { pools: [{ ...common, ...pool }] }).pools[0]?.determinism;
}

/** The frames of a task that names neither determinism nor seed, and whose first engine is lost. */
async function lostOnce(t: Parameters<typeof running>[0], slots: number): Promise<Frame[]> {
  const { client, engines } = await running(t, { engines: [{ slots }], pool: unsaid });
  const undisturbed = { task_id: "undisturbed", session_id: "undisturbed", seed: 11, max_tokens: 12 };
  await client.submit(undisturbed);
  const text = textOf(await client.frames("undisturbed"));
  const strict = { task_id: "strict", session_id: "strict", determinism: "strict" };
  assert.equal((await client.submit(strict)).status, slots === 1 ? 202 : 400);
  // What runs still would take the fault that is meant for another.
  if (slots === 1) await client.frames("strict");
  await engines[0]?.faults({ cut_after: 5, times: 1 });
  await client.submit({ ...undisturbed, task_id: "lost", session_id: "lost" });
  const frames = await client.frames("lost");
  assert.equal(lastOf(frames).event, "end");
  assert.equal(textOf(frames), text);
  return frames;
}

const resumedAs = (frames: readonly Frame[]) =>
  frames.find(({ event, data }) => event === "metrics" && data.resumed !== undefined)?.data.resumed;

interface Traces {
  readonly metric: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Of the log line, whose sentence is the narration. */
  readonly event: string;
}

/** By the id of their route; null where a call is none of the moments that the contract has traces for. */
const tracesOf: Readonly<Record<string, Traces | null>> = {
  createTask: { metric: "tasks_enqueued_total", event: "task_admitted" },
  streamTask: { metric: "latency_first_token_ms_count", event: "stream_started" },
  cancelTask: { metric: "tasks_canceled_total", labels: { reason: "client" }, event: "task_canceled" },
  getSession: null,
  deleteSession: null,
  createArtifact: null,
  getArtifact: null,
  getCapabilities: null,
  getPoolHealth: null,
  drainPool: { metric: "drain_events_total", labels: { reason: "request" }, event: "pool_draining" },
  reloadPool: { metric: "drain_events_total", labels: { reason: "reload" }, event: "pool_reloaded" },
  getMetrics: null,
  listTasks: null,
  getTask: null,
  listPools: null,
  // Without the profile `cloud` no node is taken in or let go.
  registerNode: null,
  heartbeatNode: null,
  deregisterNode: null,
  listNodes: null,
};

async function expectTraces(client: Client, log: Lines, id: string, act: () => Promise<void>): Promise<void> {
  const traces = tracesOf[id];
  assert.notEqual(traces, undefined, `say what ${id} leaves behind`);
  const before = traces && (await client.metric(traces.metric, traces.labels));
  const counted = await countersOf(client);
  const lines = log.all.length;
  await act();
  if (!traces) {
    assert.deepEqual(log.all.slice(lines), [], id);
    assert.deepEqual(await countersOf(client), counted, id);
    return;
  }
  const { metric, labels, event } = traces;
  const line = await log.until((each) => each.event === event && log.all.indexOf(each) >= lines);
  assert.match(line.human ?? "", /^[A-Z].{8,98}[.…]$/, id);
  assert.equal(await client.metric(metric, labels), (before as number) + 1, `${id}: ${metric}`);
}

/** What llama-orch itself has counted so far. */
async function countersOf(client: Client): Promise<string[]> {
  const { body } = await client.get("/metrics");
  return String(body)
    .split("\n")
    .filter((line) => /^(?!process_|nodejs_)\w+_(total|count)[ {]/.test(line));
}

test(
  "who asks for nothing gets the kind of its pool and a seed, and every handler that is served leaves the metric, " +
    "the log line and the narration of the moment that the contract names for it, and where it names none leaves " +
    "neither a line nor a count [CHK-B-02]",
  async (t) => {
    const external = (slots: number) => ({
      slots,
      provisioning: { mode: "external", base_url: "http://127.0.0.1:1" },
    });
    assert.equal(determinismOf(t, external(1)), "strict");
    assert.equal(determinismOf(t, external(2)), "best_effort");
    assert.equal(determinismOf(t, { slots: 4, provisioning: { mode: "embedded" } }), "strict");
    assert.equal(resumedAs(await lostOnce(t, 1)), "replayed");
    assert.equal(resumedAs(await lostOnce(t, 2)), "continued");

    const swap = async () => ({ ok: false, engineVersion: null, error: "There is no such model." });
    const daemon = await running(t, { swapper: { runs: () => true, swap } });
    const frames = await everyHandler(daemon);
    const seed = createHash("sha256").update("followed").digest().readBigUInt64BE() % 2n ** 53n;
    assert.equal(frames[0]?.data.seed, Number(seed));
  },
);

/** Calls each once, in an order in which one makes what the next needs; gives what the followed task said. */
async function everyHandler({ client, log, engines }: Running): Promise<Frame[]> {
  const named = (name: string) => ({ task_id: name, session_id: name, seed: undefined });
  const ok = async (asking: Promise<{ status: number }>) => void assert.ok((await asking).status < 300);
  const disabled = async (asking: Promise<{ status: number }>) => assert.equal((await asking).status, 503);
  let frames: Frame[] = [];
  let artifact = "";
  const acts: readonly [id: string, act: () => Promise<void>][] = [
    ["createTask", () => ok(client.submit(named("created")))],
    [
      "streamTask",
      async () => {
        await client.submit(named("followed"));
        frames = await client.frames("followed");
      },
    ],
    ["cancelTask", () => ok(client.cancel("canceled"))],
    ["getSession", () => ok(client.get("/v1/sessions/followed"))],
    ["deleteSession", () => ok(client.call("DELETE", "/v1/sessions/followed"))],
    [
      "createArtifact",
      async () => {
        artifact = (await client.call("POST", "/v1/artifacts", { kind: "plan" })).body.id;
      },
    ],
    ["getArtifact", () => ok(client.get(`/v1/artifacts/${artifact}`))],
    ["getCapabilities", () => ok(client.get("/v1/capabilities"))],
    ["getPoolHealth", () => ok(client.get("/v1/pools/pool-0/health"))],
    ["getMetrics", () => ok(client.get("/metrics"))],
    ["listTasks", () => ok(client.get("/v2/tasks"))],
    ["getTask", () => ok(client.get("/v2/tasks/followed"))],
    ["listPools", () => ok(client.get("/v2/pools"))],
    ["registerNode", () => disabled(client.call("POST", "/v2/nodes/register", {}))],
    ["heartbeatNode", () => disabled(client.call("POST", "/v2/nodes/attic/heartbeat", {}))],
    ["deregisterNode", () => disabled(client.call("DELETE", "/v2/nodes/attic"))],
    ["listNodes", () => disabled(client.get("/v2/nodes"))],
    [
      "reloadPool",
      async () => {
        const body = { new_model_ref: "another", drain_deadline_ms: 0 };
        assert.equal((await client.call("POST", "/v1/pools/pool-0/reload", body)).status, 409);
      },
    ],
    ["drainPool", () => ok(client.call("POST", "/v1/pools/pool-0/drain", { deadline_ms: 60_000 }))],
  ];
  const after: Readonly<Record<string, () => Promise<unknown>>> = {
    createTask: () => log.ended("created"),
    async streamTask() {
      await log.ended("followed");
      await engines[0]?.faults({ stall_after: 1, times: 1 });
      await client.submit(named("canceled"));
      await log.until(({ event, task_id }) => event === "stream_started" && task_id === "canceled");
    },
    cancelTask: () => log.ended("canceled"),
  };
  for (const [id, act] of acts) {
    await expectTraces(client, log, id, act);
    await after[id]?.();
  }
  const called = acts.map(([id]) => id).sort();
  assert.deepEqual(
    called,
    servedRoutes()
      .map(({ row }) => row.id)
      .sort(),
  );
  return frames;
}
