import assert from "node:assert/strict";
import { test } from "node:test";
import { orchestratordConfig, resolveConfig } from "@llama-orch/contract";
import { Orchestrator } from "@llama-orch/core";
import { settingsOf } from "./settings.ts";

const pool = { id: "p", engine: "llamacpp", model: "m", devices: [], allow_cpu: true };

function settings(file: object) {
  const resolved = resolveConfig({ file });
  assert.ok(resolved.ok, JSON.stringify(resolved));
  return settingsOf(orchestratordConfig(resolved.config));
}

test("every setting of the core comes from the configuration", () => {
  const { pools, ...rest } = settings({
    pools: [
      {
        ...pool,
        max_tokens_out: 77,
        queue: { capacity: 9, full_policy: "drop-lru", max_queued_tokens: 1000 },
        admission: {
          priorities: [{ name: "interactive", weight: 5, rate_limit_rps: 3, queue_capacity: 4 }],
          fairness: { tenants: [{ id: "t", weight: 2, max_concurrent: 6, rps: 7, max_memory_bytes: 8 }] },
        },
        timeouts: { wall_ms: 1100, idle_ms: 12, first_token_ms: 13 },
        scheduling: { edf: true, policy: "strict" },
        preemption: { mode: "soft" },
        canary: { model: "next", percent: 5, label: "trial" },
        supervision: { threshold: 2, open_s: 3, max_restarts: 4, window_s: 5 },
        extra_memory: { draft_model_bytes: 100, prefix_cache_bytes: 20 },
      },
    ],
    session: { ttl_ms: 2000, max_turns: 3, budgets: { tokens: 4, time_ms: 5, cost: 6 }, cost_per_token: 1 },
    tenants: [{ id: "t", budgets: { tokens: 1 } }],
    stream: { disconnect_grace_ms: 0, cancel_on_disconnect: false },
  });
  assert.partialDeepStrictEqual(pools[0], {
    id: "p",
    modelRef: "m",
    deviceMask: "",
    maxTokensOut: 77,
    capacity: 9,
    fullPolicy: "drop-lru",
    maxQueuedTokens: 1000,
    classes: { interactive: { weight: 5, rateLimitRps: 3, queueCapacity: 4 }, batch: { weight: 1 } },
    tenants: { t: { weight: 2, maxConcurrent: 6, rps: 7, maxMemoryBytes: 8 } },
    edf: true,
    strictClasses: true,
    timeouts: { wallMs: 1100, idleMs: 12, firstTokenMs: 13 },
    canary: { modelRef: "next", percent: 5, label: "trial" },
    breaker: { threshold: 2, openMs: 3000, maxRestarts: 4, windowMs: 5000 },
    extraBytes: 120,
  });
  assert.deepEqual(rest.session, {
    ttlMs: 2000,
    maxTurns: 3,
    liveMax: 100_000,
    budgets: { tokens: 4, timeMs: 5, cost: 6 },
    costPerToken: 1,
  });
  assert.deepEqual(rest.tenantBudgets, { t: { tokens: 1 } });
  assert.deepEqual(rest.stream, { disconnectGraceMs: 0, cancelOnDisconnect: false });
});

test("the core takes a whole default configuration", () => {
  const core = new Orchestrator(1);
  core.handle({ type: "Configured", seq: 1, nowMs: 1, settings: settings({ pools: [pool] }) });
  core.assertInvariants();
  assert.deepEqual([...core.state.pools.keys()], ["p"]);
});
