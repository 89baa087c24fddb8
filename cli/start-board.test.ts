import assert from "node:assert/strict";
import { test } from "node:test";
import { type Config, type PoolList, type ReplicaAnnouncement, resolveConfig } from "@llama-orch/contract";
import { Interrupted, Refusal } from "./failure.ts";
import { StartBoard } from "./start-board.ts";

function poolsOf(...more: object[]): Config["pools"] {
  const pools = more.map((each, index) => ({
    ...{ id: `p${index}`, engine: "llamacpp", model: "haiku", devices: [], allow_cpu: true },
    ...each,
  }));
  const resolved = resolveConfig({ file: { pools } });
  if (!resolved.ok) throw new Error(JSON.stringify(resolved.problems));
  return resolved.config.pools;
}

const told = (phase: ReplicaAnnouncement["phase"], more: Partial<ReplicaAnnouncement> = {}) => ({
  ...{ poolId: "p0", replicaId: "r0", engine: "llamacpp" as const, phase, epoch: 1, ...more },
});
const quiet = { onProgress: () => undefined };
const never = new AbortController().signal;
const replica = { replica_id: "r0", slots_total: 1, slots_free: 1, engine_version: null };
const view = (ready: boolean) =>
  ({ pools: [{ pool_id: "p0", replicas: [{ ...replica, ready }] }], count: 1 }) as unknown as PoolList;

test("a Ctrl-C while the orchestrator takes the engines in ends the wait with its own reason", async () => {
  const board = new StartBoard(poolsOf({}));
  board.take(told("ready"), quiet);
  const leaving = new AbortController();
  let looks = 0;
  const pools = () => {
    if (++looks === 2) leaving.abort(new Interrupted());
    return view(false);
  };
  await assert.rejects(board.serving(pools, leaving.signal), Interrupted);
});

test("engines that the orchestrator never takes in are waited for no longer than the limit", async () => {
  const board = new StartBoard(poolsOf({}), 30);
  board.take(told("ready"), quiet);
  await assert.rejects(
    board.serving(() => view(false), never),
    /has not taken its engines in/,
  );
  const other = new StartBoard(poolsOf({}), 10_000);
  other.take(told("ready"), quiet);
  await other.serving(() => view(true), never);
});

test("why an engine is started again is told while it starts, and again when the wait is over", async () => {
  const board = new StartBoard(poolsOf({}), 10);
  const said: string[] = [];
  const lastError = "The engine ended with exit code 1.";
  board.take(told("backing_off", { lastError }), { onProgress: (text) => void said.push(text) });
  assert.deepEqual(said, ["Starting: p0/r0 is backing_off: The engine ended with exit code 1"]);
  await assert.rejects(
    board.serving(() => view(false), never),
    /p0\/r0 is backing_off: The engine ended with exit code 1\.$/,
  );
});

test("how far an engine is stands there once, however often it is announced", () => {
  const board = new StartBoard(poolsOf({ replicas: 2 }));
  const said: string[] = [];
  const each = { onProgress: (text: string) => void said.push(text) };
  for (const replicaId of ["r0", "r1"]) {
    board.take(told("starting", { replicaId }), each);
    board.take(told("starting", { replicaId, pid: 4711 }), each);
  }
  for (const phase of ["loading", "backing_off", "starting"] as const) board.take(told(phase), each);
  const phases = ["r0 is starting", "r1 is starting", "r0 is loading", "r0 is backing_off", "r0 is starting"];
  assert.deepEqual(
    said,
    phases.map((words) => `Starting: p0/${words}`),
  );
  assert.deepEqual(board.pids(), { "p0/r1": 4711 });
});

test("a pool whose engines have all failed is refused at once with the reason", async () => {
  const board = new StartBoard(poolsOf({}));
  board.take(told("failed", { lastError: "There is no model." }), quiet);
  const refused = board.serving(() => view(false), never);
  await assert.rejects(refused, new Refusal("Pool p0 does not start: There is no model."));
});

test("external pools and those that wait for a reload are not waited for", async () => {
  const external = { provisioning: { mode: "external", base_url: "http://127.0.0.1:1" } };
  const board = new StartBoard(poolsOf(external, { preload: false }), 10);
  await board.serving(() => view(false), never);
});
