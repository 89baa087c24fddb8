import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { ReplicaAnnouncement } from "@llama-orch/contract";
import type { EngineHealth } from "@llama-orch/engines/adapter";
import { FakeClock } from "../fixtures/fake-clock.ts";
import { configFor } from "../fixtures/running.ts";
import { TinyAdapter } from "../fixtures/tiny-adapter.ts";
import { externalReplicas, watchExternal } from "./external.ts";

const away = { live: false, ready: false };
const loading = { live: true, ready: false };
const ready = { live: true, ready: true };

async function watch(first: EngineHealth = ready) {
  const clock = new FakeClock();
  const adapter = new TinyAdapter();
  const heard: ReplicaAnnouncement[] = [];
  adapter.state = first;
  const watching = watchExternal({
    replicas: [
      { poolId: "p", replicaId: "r0", engine: "llamacpp", url: "http://user:pw@127.0.0.1:1/x", apiKey: "k" },
    ],
    bind: () => adapter,
    announce: (announcement) => heard.push(announcement),
    clock,
    pollMs: 1000,
  });
  await turn();
  const look = async (state: typeof ready) => {
    adapter.state = state;
    clock.advance(1000);
    await turn();
    return heard.at(-1) as ReplicaAnnouncement;
  };
  return { clock, adapter, heard, look, watching };
}

test("a server that is there is announced as ready, once", async () => {
  const { heard, look } = await watch();
  await look(ready);
  assert.equal(heard.length, 1);
  const { phase, poolId, replicaId, url, apiKey, lastError } = heard[0] as ReplicaAnnouncement;
  assert.deepEqual(
    { phase, poolId, replicaId, url, apiKey, lastError },
    {
      phase: "ready",
      poolId: "p",
      replicaId: "r0",
      url: "http://user:pw@127.0.0.1:1/x",
      apiKey: "k",
      lastError: undefined,
    },
  );
});

test("a server that was never there is away at once, and what is said of it holds no credential", async () => {
  const { heard } = await watch(away);
  assert.deepEqual(
    heard.map(({ phase, fault }) => [phase, fault]),
    [["backing_off", "crash"]],
  );
  assert.equal(heard[0]?.lastError, "The engine at http://127.0.0.1:1 does not answer.");
});

test("what was in the way of a server is said of it", async () => {
  const { heard } = await watch({ ...away, error: "The proxy http://p:3128: nobody listens there." });
  const says =
    "The engine at http://127.0.0.1:1 does not answer. The proxy http://p:3128: nobody listens there.";
  assert.equal(heard[0]?.lastError, says);
});

test("one missed answer is a hiccup, three in a row are not", async () => {
  const { heard, look } = await watch();
  await look(away);
  await look(away);
  await look(ready);
  await look(away);
  await look(away);
  assert.equal(heard.length, 1);
  assert.equal((await look(away)).phase, "backing_off");
});

test("after a lost attempt a server is looked at at once, and one that does not answer then is away", async () => {
  const { heard, adapter, watching } = await watch();
  watching.doubt("p", "r0");
  await turn();
  assert.equal(heard.length, 1);
  adapter.state = away;
  watching.doubt("p", "other");
  await turn();
  assert.equal(heard.length, 1);
  watching.doubt("p", "r0");
  await turn();
  assert.equal(heard.at(-1)?.phase, "backing_off");
});

test("a doubt that comes during a look has a look of its own, and the looks do not multiply", async () => {
  const { heard, adapter, clock, watching } = await watch();
  let answer = (_: typeof ready) => {};
  adapter.health = () =>
    new Promise((resolve) => {
      answer = resolve;
    });
  clock.advance(1000);
  for (let n = 0; n < 3; n++) watching.doubt("p", "r0");
  answer(ready);
  await turn();
  answer(away);
  await turn();
  assert.equal(heard.at(-1)?.phase, "backing_off");
  assert.equal(clock.timers, 1);
});

test("a server that nobody can speak to is failed, and the others are watched all the same", async () => {
  const heard: ReplicaAnnouncement[] = [];
  const where = { replicaId: "r0", url: "http://127.0.0.1:1" };
  const watching = watchExternal({
    replicas: [
      { ...where, poolId: "strange", engine: "triton" },
      { ...where, poolId: "plain", engine: "llamacpp" },
    ],
    bind: ({ engine }) =>
      engine === "llamacpp" ? new TinyAdapter() : assert.fail(`Nobody speaks ${engine}.`),
    announce: (announcement) => heard.push(announcement),
    clock: new FakeClock(),
    pollMs: 1000,
  });
  await turn();
  const told = heard.map(({ poolId, phase, lastError }) => [poolId, phase, lastError]);
  assert.deepEqual(told, [
    ["strange", "failed", "Nobody speaks triton."],
    ["plain", "ready", undefined],
  ]);
  await watching.close();
});

test("a server that comes back is a new process", async () => {
  const { heard, look } = await watch();
  const [first] = heard;
  for (const state of [away, away, away]) await look(state);
  const back = await look(loading);
  assert.equal(back.phase, "loading");
  const again = await look(ready);
  assert.equal(again.phase, "ready");
  assert.ok(again.epoch > (first?.epoch ?? Number.POSITIVE_INFINITY));
});

test("a watch that is closed asks nothing more", async () => {
  const { clock, adapter, watching } = await watch();
  const { asked } = adapter;
  await watching.close();
  assert.equal(adapter.isClosed, true);
  assert.equal(clock.timers, 0);
  clock.advance(10_000);
  assert.equal(adapter.asked, asked);
});

test("pools of external mode and the directly bound server are watched, others are not", (t) => {
  const pool = { engine: "llamacpp", model: "m", devices: [], allow_cpu: true };
  const config = configFor(
    { after: (run) => t.after(run) },
    {
      pools: [
        { ...pool, id: "there", provisioning: { mode: "external", base_url: "http://127.0.0.1:1" } },
        { ...pool, id: "ours" },
        { ...pool, id: "bound" },
      ],
      llamacpp: { url: "http://127.0.0.1:2", pool: "bound", replica: "r7" },
    },
  );
  assert.deepEqual(externalReplicas(config), [
    { poolId: "there", replicaId: "r0", engine: "llamacpp", url: "http://127.0.0.1:1" },
    { poolId: "bound", replicaId: "r7", engine: "llamacpp", url: "http://127.0.0.1:2" },
  ]);
});
