// Pools from outside: what they say of themselves, how they are emptied, and how they change their model.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Capabilities, PoolHealth, PoolList, parser } from "@llama-orch/contract";
import { startFake } from "@llama-orch/engines/fake";
import { framesIn, lastOf } from "./fixtures/client.ts";
import { equalFacts, poolOf, running } from "./fixtures/running.ts";
import type { SwapResult } from "./reloads.ts";

const shared = await running({ after }, { engines: [{}, {}] });

test(
  "the health of a pool says what it is, and a pool nobody knows is neither live nor ready " +
    "[ORCH-2103, OC-CTRL-2001]",
  async () => {
    const { status, body } = await shared.client.get("/v1/pools/pool-0/health");
    assert.equal(status, 200);
    assert.deepEqual(parser(PoolHealth).problems(body), []);
    assert.deepEqual(body, {
      live: true,
      ready: true,
      draining: false,
      compute: "cpu",
      metrics: { queue_depth: 0, slots_total: 1, slots_free: 1, active_leases: 0 },
      last_error: null,
    });
    const unknown = await shared.client.get("/v1/pools/nobody/health");
    assert.equal(unknown.status, 200);
    assert.deepEqual(unknown.body, {
      live: false,
      ready: false,
      draining: false,
      metrics: { queue_depth: 0 },
      last_error: null,
    });
  },
);

test(
  "capabilities say what engines can do and how their sets are loaded; there is no other discovery " +
    "[ORCH-2104, ORCH-3095, OC-CTRL-2004, OC-CTRL-2060, CHK-F-18, CHK-I-07]",
  async () => {
    const { body } = await shared.client.get("/v1/capabilities");
    assert.deepEqual(parser(Capabilities).problems(body), []);
    const [set, ...others] = body.replica_sets;
    assert.deepEqual(others, []);
    assert.deepEqual(
      { ...set, id: "" },
      {
        id: "",
        engine: "llamacpp",
        load: 0,
        slots_total: 2,
        slots_free: 2,
        slo: { first_token_p95_ms: null, attainment: null },
      },
    );
    assert.deepEqual(body.engines, [
      {
        engine: "llamacpp",
        engine_version: "fake-1",
        compute: "cpu",
        ctx_max: 4096,
        max_tokens_out: 50_000,
        supported_workloads: ["completion", "embedding", "rerank"],
        rate_limits: {},
        features: {
          interruptible_decode: true,
          determinism: "strict",
          continuous_batching: false,
          embeddings: true,
          rerank: true,
        },
        concurrency: 2,
        sampler_profile_version: "default",
        pools: ["pool-0", "pool-1"],
      },
    ]);
    assert.equal((await shared.client.get("/v1/replicasets")).status, 404);
  },
);

test("capabilities follow the engines: a version that changes, and a pool that goes away", async (t) => {
  const { client, engines, log } = await running(t, { engines: [{}, {}] });
  const versions = async () => {
    const { body } = await client.get("/v1/capabilities");
    return body.engines.map(
      ({ engine_version, concurrency }: { engine_version?: string; concurrency: number }) => [
        engine_version,
        concurrency,
      ],
    );
  };
  assert.deepEqual(await versions(), [["fake-1", 2]]);
  await engines[1]?.stop();
  await log.until(({ event }) => event === "replica_backing_off");
  assert.deepEqual(await versions(), [
    ["fake-1", 1],
    [undefined, null],
  ]);
});

test("the lists of pools and tasks fit their shapes, and a page goes on where the last one ended", async () => {
  const { client, log } = shared;
  const { body } = await client.get("/v2/pools");
  assert.deepEqual(parser(PoolList).problems(body), []);
  assert.equal(body.count, 2);
  for (let n = 0; n < 5; n++) await client.submit({ task_id: `listed-${n}`, session_id: `listed-${n}` });
  for (let n = 0; n < 5; n++) await log.ended(`listed-${n}`);
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const query = cursor === undefined ? "" : `&cursor=${cursor}`;
    const { body: page } = await client.get(`/v2/tasks?limit=2${query}`);
    seen.push(...page.tasks.map(({ task_id }: { task_id: string }) => task_id));
    cursor = page.next_cursor;
  } while (cursor !== undefined);
  assert.deepEqual(seen, ["listed-4", "listed-3", "listed-2", "listed-1", "listed-0"]);
  const { body: none } = await client.get("/v2/tasks?state=running");
  assert.deepEqual(none, { tasks: [] });
  assert.equal((await client.get("/v2/tasks?state=nonsense")).status, 400);
  const { status, body: refusal } = await client.get("/v2/tasks?cursor=zzz");
  assert.deepEqual([status, refusal.code], [400, "INVALID_PARAMS"]);
  assert.match(refusal.message, /^cursor: given "zzz"/);
});

test(
  "a pool that is drained shows it at once, hands what waits to its sibling, and takes nothing more " +
    "[ORCH-2101, OC-CTRL-2002, CHK-L-01]",
  async (t) => {
    const { client, engines, log } = await running(t, { engines: [{}, {}] });
    const pinned = (id: string) => ({ placement: { mode: "pin", pin_pool_id: id } });
    await Promise.all(engines.map((engine) => engine.faults({ stall_after: 1, times: 1 })));
    for (const n of [0, 1]) {
      await client.submit({ task_id: `held-${n}`, session_id: `held-${n}`, ...pinned(`pool-${n}`) });
      await (await client.follow(`held-${n}`)).tokens(1);
    }
    await client.submit({
      task_id: "waits",
      session_id: "w",
      placement: { mode: "prefer", prefer_pools: ["pool-0"] },
    });
    assert.equal((await client.call("POST", "/v1/pools/pool-0/drain", {})).status, 400);
    const { status, body } = await client.call("POST", "/v1/pools/pool-0/drain", { deadline_ms: 60_000 });
    assert.deepEqual([status, body], [202, {}]);
    const health = await client.get("/v1/pools/pool-0/health");
    assert.deepEqual([health.body.draining, health.body.ready, health.body.live], [true, false, true]);
    assert.equal((await client.get("/v1/pools/pool-1/health")).body.metrics.queue_depth, 1);
    const refused = await client.submit({ task_id: "late", ...pinned("pool-0") });
    assert.deepEqual([refused.status, refused.body.code], [503, "POOL_UNREADY"]);
    await client.cancel("held-1");
    const waited = lastOf(await client.frames("waits"));
    assert.equal(waited.event, "end");
    assert.equal((await log.ended("waits")).pool_id, "pool-1");
    assert.equal(await client.metric("drain_events_total", { pool_id: "pool-0", reason: "request" }), 1);
    await client.cancel("held-0");
    const drained = await log.until(({ event }) => event === "pool_drained");
    assert.equal(drained.pool_id, "pool-0");
    assert.equal((await client.call("POST", "/v1/pools/nobody/drain", { deadline_ms: 1 })).status, 404);
  },
);

test("what still runs at the deadline of a drain goes on elsewhere with equal bytes", async (t) => {
  const { client, engines } = await running(t, {
    engines: [{ tokensPerSecond: 300 }, { tokensPerSecond: 300 }],
  });
  const task = {
    session_id: "drained",
    max_tokens: 60,
    placement: { mode: "prefer", prefer_pools: ["pool-0"] },
  };
  await client.submit({ ...task, task_id: "plain" });
  const plain = framesIn(await client.read("plain"));
  await engines[0]?.faults({ stall_after: 20, times: 1 });
  await client.submit({ ...task, task_id: "moved" });
  await (await client.follow("moved")).tokens(20);
  await client.call("POST", "/v1/pools/pool-0/drain", { deadline_ms: 0 });
  const moved = framesIn(await client.read("moved"));
  const ids = (frames: typeof moved) => frames.filter(({ event }) => event === "token");
  assert.deepEqual(ids(moved), ids(plain));
  assert.equal(moved.find(({ data }) => data.resumed !== undefined)?.data.resumed, "replayed");
});

test(
  "a reload that nobody can carry out answers 409, and health, model and gauges are as they were " +
    "[CHK-L-03]",
  async () => {
    const { client } = shared;
    const before = await stateOf();
    const { status, body } = await client.call("POST", "/v1/pools/pool-0/reload", { new_model_ref: "other" });
    assert.equal(status, 409);
    assert.equal(body.code, "RELOAD_CONFLICT");
    assert.equal(body.pool_id, "pool-0");
    assert.ok(body.last_error.length > 10);
    assert.deepEqual(await stateOf(), before);
    assert.equal((await client.call("POST", "/v1/pools/pool-0/reload", {})).status, 400);
    const nobody = await client.call("POST", "/v1/pools/nobody/reload", { new_model_ref: "other" });
    assert.equal(nobody.status, 404);
  },
);

test("a reload serves the new model whole, or leaves health, version and model_state as they were [OC-CTRL-2003]", async (t) => {
  let works = false;
  const swapper = {
    swap: async () =>
      works
        ? { ok: true, engineVersion: "fake-1" }
        : { ok: false, engineVersion: "fake-1", error: "The file is damaged." },
  };
  const { client } = await running(t, { swapper });
  const reload = () => client.call("POST", "/v1/pools/pool-0/reload", { new_model_ref: "sonnet" });
  const before = await stateOf(client);
  const refused = await reload();
  assert.deepEqual([refused.status, refused.body.last_error], [409, "The file is damaged."]);
  assert.deepEqual(await stateOf(client), before);
  assert.equal((await client.submit({ task_id: "old" })).status, 202);
  await client.read("old");
  works = true;
  const { status, body } = await reload();
  assert.deepEqual([status, body.model_ref, body.engine_version], [200, "sonnet", "fake-1"]);
  assert.equal((await client.submit({ model_ref: "haiku" })).status, 503);
  assert.equal((await client.submit({ model_ref: "sonnet" })).status, 202);
});

test("a reload that nobody here could carry out is refused before anything is drained", async (t) => {
  const swapper = { runs: () => false, swap: () => assert.fail("It was asked to swap.") };
  const { client, engines, log } = await running(t, { swapper });
  await engines[0]?.faults({ stall_after: 2, times: 1 });
  await client.submit({ task_id: "busy" });
  await (await client.follow("busy")).tokens(2);
  const reload = (model: string) => client.call("POST", "/v1/pools/pool-0/reload", { new_model_ref: model });
  const { status, body } = await reload("sonnet");
  assert.deepEqual([status, body.code], [409, "RELOAD_CONFLICT"]);
  assert.match(body.last_error, /load the model where they run/);
  assert.equal((await reload("haiku")).status, 200);
  assert.deepEqual(log.of("pool_draining"), []);
  const { body: health } = await client.get("/v1/pools/pool-0/health");
  assert.deepEqual([health.ready, health.draining, health.metrics.active_leases], [true, false, 1]);
  await client.cancel("busy");
});

async function stateOf(client = shared.client) {
  const { body: health } = await client.get("/v1/pools/pool-0/health");
  const { body: pools } = await client.get("/v2/pools");
  const { body: metrics } = await client.get("/metrics");
  return { health, pools, gauges: (metrics as string).match(/^(model_state|pool_ready).*$/gm) };
}

test("a drained pool whose engines run elsewhere is brought back by asking for its own model", async (t) => {
  const { client } = await running(t, {});
  await client.call("POST", "/v1/pools/pool-0/drain", { deadline_ms: 0 });
  assert.equal((await client.get("/v1/pools/pool-0/health")).body.draining, true);
  const own = (await client.get("/v2/pools")).body.pools[0].model_ref;
  const { status } = await client.call("POST", "/v1/pools/pool-0/reload", { new_model_ref: own });
  assert.equal(status, 200);
  assert.equal((await client.get("/v1/pools/pool-0/health")).body.ready, true);
  assert.equal((await client.submit({ task_id: "after", session_id: "after", max_tokens: 2 })).status, 202);
});

test("a reload that succeeds answers 200 once the new model serves, and shows it as active [ORCH-2102, CHK-L-02]", async (t) => {
  const asked: string[][] = [];
  let answer: SwapResult = { ok: true, engineVersion: "fake-1" };
  const swapper = {
    async swap(...names: string[]) {
      asked.push(names);
      return answer;
    },
  } as const;
  const { client } = await running(t, { swapper });
  const reload = (model: string) => client.call("POST", "/v1/pools/pool-0/reload", { new_model_ref: model });
  const { status, body } = await reload("sonnet");
  assert.equal(status, 200);
  assert.deepEqual(asked, [["pool-0", "haiku", "sonnet"]]);
  const { duration_ms, ...rest } = body;
  assert.ok(duration_ms >= 0);
  assert.deepEqual(rest, { pool_id: "pool-0", model_ref: "sonnet", engine_version: "fake-1" });
  assert.equal(await client.metric("model_state", { model_id: "sonnet", state: "Active" }), 1);
  assert.equal(await client.metric("model_state", { model_id: "sonnet", state: "Retired" }), 0);
  assert.equal((await client.submit({ model_ref: "sonnet" })).status, 202);
  assert.equal((await client.submit({ model_ref: "haiku" })).body.code, "POOL_UNAVAILABLE");
  answer = { ok: false, engineVersion: "fake-1", error: "There is no such file." };
  const failed = await reload("ode");
  assert.deepEqual([failed.status, failed.body.last_error], [409, "There is no such file."]);
  assert.equal(await client.metric("model_state", { model_id: "ode" }), 0);
  assert.equal((await client.submit({ model_ref: "sonnet" })).status, 202);
});

test("a task that carries a canary's label runs in the canary's pool, and nobody else does [ORCH-3033]", async (t) => {
  const facts = [{}, { modelDigest: `sha256:${"b".repeat(64)}` }];
  const engines = await Promise.all(facts.map((each) => startFake({ ...equalFacts, ...each })));
  t.after(() => Promise.all(engines.map((engine) => engine.stop())));
  const [pool, tried] = engines.map(poolOf(facts));
  const canary = { model: "next", label: "trial" };
  const config = {
    pools: [
      { ...pool, canary },
      { ...tried, model: "next" },
    ],
  };
  const { client, log } = await running(t, { engines: [], config });
  for (const { id } of config.pools as { id: string }[]) {
    await log.until(({ event, pool_id }) => event === "replica_ready" && pool_id === id);
  }
  const poolFor = async (task_id: string, fields: object) => {
    await client.submit({ task_id, session_id: "same", ...fields });
    await client.read(task_id);
    return (await client.get(`/v2/tasks/${task_id}`)).body.pool_id;
  };
  assert.equal(await poolFor("tries", { label: "trial" }), "pool-1");
  const { transcript } = lastOf(await client.frames("tries")).data;
  const { body } = await client.get(`/v1/artifacts/${transcript}`);
  assert.equal(body.metadata.request.label, "trial");
  assert.equal(await poolFor("stays", {}), "pool-0");
  assert.equal(await poolFor("other", { label: "trial-2" }), "pool-0");
});

test("a replica of another version than its pool is pinned to takes no work, and the pool says why", async (t) => {
  const engine = await startFake(equalFacts);
  t.after(() => engine.stop());
  const pinnedTo = (version: string) => {
    const pool = poolOf([])(engine, 0);
    return { pools: [{ ...pool, provisioning: { ...pool.provisioning, engine: { version } } }] };
  };
  const wrong = await running(t, { engines: [], config: pinnedTo("fake-9") });
  await wrong.log.until(({ event }) => event === "replica_failed");
  const { body } = await wrong.client.get("/v1/pools/pool-0/health");
  assert.equal(body.ready, false);
  assert.match(
    body.last_error,
    /^VERSION_MISMATCH: Replica r0 runs .* fake-1, but pool pool-0 is pinned to fake-9/,
  );
  const refused = await wrong.client.submit({ task_id: "nowhere" });
  assert.equal(refused.status, 503);

  const right = await running(t, { engines: [], config: pinnedTo("fake-1") });
  await right.log.until(({ event }) => event === "replica_ready");
});
