import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Capabilities, PoolHealth, PoolList, parser, type ReplicaAnnouncement } from "@llama-orch/contract";
import { Orchestrator } from "@llama-orch/core";
import { FakeClock } from "./fixtures/fake-clock.ts";
import { configFor, type Scope } from "./fixtures/running.ts";
import { TinyAdapter } from "./fixtures/tiny-adapter.ts";
import { Loop } from "./loop.ts";
import { Directory } from "./replicas/directory.ts";
import { settingsOf } from "./settings.ts";
import { views } from "./views.ts";

const pool = { engine: "llamacpp", model: "haiku", determinism: "best_effort", slots: 2 };
const provisioning = { mode: "external", base_url: "http://127.0.0.1:1" };

/** Two pools, one on the CPU and one on two devices, whose engines are announced by the test. */
function open(scope: Scope) {
  const config = configFor(scope, {
    pools: [
      { ...pool, provisioning, id: "cpu", devices: [], allow_cpu: true },
      { ...pool, provisioning, id: "gpu", devices: [0, 1] },
    ],
  });
  const core = new Orchestrator(1);
  const clock = new FakeClock();
  const loop = new Loop({ core, clock, perform: () => {} });
  loop.post({ type: "Configured", settings: settingsOf(config) });
  const facts = { engineVersion: "v1", slotsTotal: 2, ctxMax: 512, features: ["completion", "embedding"] };
  const directory = new Directory({
    bind: () => Object.assign(new TinyAdapter(), { facts }),
    post: (happening) => loop.post(happening),
    clock,
    pollMs: 1000,
    expected: () => ({ ctxMax: 512, slotsTotal: 2 }),
  });
  scope.after(() => directory.close());
  const levels = { of: () => ({ firstTokenP95Ms: 120, attainment: 0.97 }) };
  const shown = views({ config, core, directory, levels, nowMs: () => clock.nowMs() });
  const announce = async (poolId: string, more: Partial<ReplicaAnnouncement> = {}) => {
    const where = { poolId, replicaId: "r0", engine: "llamacpp", url: "http://127.0.0.1:1" } as const;
    directory.announce({ ...where, phase: "ready", epoch: 1, ...more });
    await turn();
  };
  return { shown, announce, loop, clock };
}

test("a pool is live with a process, ready with one that serves, and says what went wrong last", async (t) => {
  const { shown, announce } = open(t);
  const short = (id: string) => {
    const health = shown.poolHealth(id);
    assert.deepEqual(parser(PoolHealth).problems(health), []);
    return [health.live, health.ready, health.last_error];
  };
  assert.deepEqual(short("cpu"), [false, false, null]);
  await announce("cpu", { phase: "loading" });
  assert.deepEqual(short("cpu"), [true, false, null]);
  await announce("cpu");
  assert.deepEqual(short("cpu"), [true, true, null]);
  await announce("cpu", { phase: "backing_off", epoch: 2, lastError: "It crashed." });
  assert.deepEqual(short("cpu"), [false, false, "It crashed."]);
  assert.deepEqual(short("nobody"), [false, false, null]);
});

test("a drained pool is live and not ready, and only pools with devices tell of their memory", async (t) => {
  const { shown, announce, loop } = open(t);
  await announce("cpu");
  await announce("gpu");
  loop.post({ type: "DrainRequested", poolId: "gpu", deadlineMs: 0 });
  const { live, ready, draining, compute, metrics } = shown.poolHealth("gpu");
  assert.deepEqual([live, ready, draining, compute], [true, false, true, "cuda"]);
  assert.equal(metrics.vram_free_bytes, 0);
  assert.equal(shown.poolHealth("cpu").metrics.vram_free_bytes, undefined);
});

test("the list of pools shows the replicas of each", async (t) => {
  const { shown, announce } = open(t);
  await announce("gpu");
  await announce("gpu", { replicaId: "r1", phase: "loading" });
  const list = shown.pools();
  assert.deepEqual(parser(PoolList).problems(list), []);
  assert.deepEqual(
    list.pools.map(({ pool_id, devices }) => [pool_id, devices]),
    [
      ["cpu", []],
      ["gpu", [0, 1]],
    ],
  );
  assert.deepEqual(
    list.pools[1]?.replicas.map(({ replica_id, ready, slots_total, slots_free }) => [
      replica_id,
      ready,
      slots_total,
      slots_free,
    ]),
    [
      ["r0", true, 2, 2],
      ["r1", false, 0, 0],
    ],
  );
});

test("capabilities tell pools apart that differ, and concurrency only where an engine serves", async (t) => {
  const { shown, announce } = open(t);
  await announce("cpu");
  const { engines, replica_sets: sets, ...rest } = shown.capabilities();
  assert.deepEqual(parser(Capabilities).problems({ engines, replica_sets: sets, ...rest }), []);
  assert.deepEqual(
    engines.map(({ pools, compute, concurrency, supported_workloads }) => [
      pools,
      compute,
      concurrency,
      supported_workloads,
    ]),
    [
      [["cpu"], "cpu", 2, ["completion", "embedding"]],
      [["gpu"], "cuda", null, ["completion"]],
    ],
  );
  assert.equal(engines[0]?.features.continuous_batching, true);
  assert.deepEqual(sets[0]?.slo, { first_token_p95_ms: 120, attainment: 0.97 });
});

test("capabilities are put together anew when replicas change, and else once a second", async (t) => {
  const { shown, announce, clock } = open(t);
  await announce("cpu");
  const first = shown.capabilities();
  clock.advance(999);
  assert.equal(shown.capabilities(), first);
  clock.advance(1);
  const second = shown.capabilities();
  assert.notEqual(second, first);
  assert.equal(shown.capabilities(), second);
  // The directory hears of it before the core: it is asked what it is first.
  const ready = announce("gpu");
  assert.equal(shown.capabilities().engines[1]?.concurrency, null);
  await ready;
  assert.equal(shown.capabilities().engines[1]?.concurrency, 2);
  await announce("gpu", { phase: "draining" });
  assert.equal(shown.capabilities().engines[1]?.concurrency, null);
});
