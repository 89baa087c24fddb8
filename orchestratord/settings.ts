// The configuration in the words of the core: the one place where a key of the file becomes something that
// decisions are made by.

import assert from "node:assert/strict";
import type { OrchestratordConfig, PoolConfig, Priority } from "@llama-orch/contract";
import type {
  Budgets,
  CanarySettings,
  ClassSettings,
  PoolSettings,
  Settings,
  TenantSettings,
} from "@llama-orch/core";

type BudgetsConfig = OrchestratordConfig["session"]["budgets"];

export function settingsOf(config: OrchestratordConfig): Settings {
  const { session, slo, stream } = config;
  return {
    pools: config.pools.map(poolSettings),
    session: {
      ttlMs: session.ttl_ms,
      maxTurns: session.max_turns,
      liveMax: session.max_live,
      budgets: budgets(session.budgets),
      costPerToken: session.cost_per_token,
    },
    tenantBudgets: Object.fromEntries(config.tenants.map((tenant) => [tenant.id, budgets(tenant.budgets)])),
    placement: { strategy: config.placement.strategy, allowPin: config.placement.allow_pin },
    stream: {
      disconnectGraceMs: stream.disconnect_grace_ms,
      cancelOnDisconnect: stream.cancel_on_disconnect,
    },
    nodes: { enabled: config.profile === "cloud", timeoutMs: config.nodes.timeout_ms },
    slo: {
      windowMs: slo.breaker.window_ms,
      windows: slo.breaker.windows,
      openMs: slo.breaker.open_ms,
      samplesMin: sloSamplesMin,
      classes: {
        interactive: {
          firstTokenP95Ms: slo.interactive.first_token_p95_ms,
          errorRate: slo.interactive.error_rate,
        },
        batch: { errorRate: slo.batch.error_rate },
      },
    },
    rememberMs: config.retention.idempotency_ms,
  };
}

/** A window with fewer tasks says nothing about a percentile. */
const sloSamplesMin = 5;

function poolSettings(pool: PoolConfig): PoolSettings {
  const { timeouts, preemption, supervision, canary, anti_affinity, queue } = pool;
  return {
    id: pool.id,
    engine: pool.engine,
    modelRef: pool.model,
    determinism: pool.determinism,
    samplerProfile: pool.sampler_profile_version,
    deviceMask: pool.devices.join(","),
    maxTokensOut: pool.max_tokens_out,
    capacity: queue.capacity,
    fullPolicy: queue.full_policy,
    ...(queue.max_queued_tokens !== undefined && { maxQueuedTokens: queue.max_queued_tokens }),
    maxBodyBytes: queue.max_body_bytes,
    classes: { interactive: classOf(pool, "interactive"), batch: classOf(pool, "batch") },
    tenants: tenantsOf(pool),
    edf: pool.scheduling.edf,
    strictClasses: pool.scheduling.policy === "strict",
    preemption: {
      mode: preemption.mode,
      maxPerMinute: preemption.hard_requirements.max_preemptions_per_min,
      protect: preemption.hard_requirements.protect_priorities,
    },
    timeouts: {
      idleMs: timeouts.idle_ms,
      ...(timeouts.wall_ms !== undefined && { wallMs: timeouts.wall_ms }),
      ...(timeouts.first_token_ms !== undefined && { firstTokenMs: timeouts.first_token_ms }),
    },
    ...(canary !== undefined && { canary: canaryOf(canary) }),
    ...(anti_affinity !== undefined && {
      antiAffinity: { scope: anti_affinity.scope, pools: anti_affinity.pools },
    }),
    breaker: {
      threshold: supervision.threshold,
      openMs: supervision.open_s * 1000,
      maxRestarts: supervision.max_restarts,
      windowMs: supervision.window_s * 1000,
    },
    extraBytes: pool.extra_memory.draft_model_bytes + pool.extra_memory.prefix_cache_bytes,
  };
}

function canaryOf({ model, percent = 0, label }: NonNullable<PoolConfig["canary"]>): CanarySettings {
  return { modelRef: model, percent, ...(label !== undefined && { label }) };
}

function classOf(pool: PoolConfig, name: Priority): ClassSettings {
  const found = pool.admission.priorities.find((each) => each.name === name);
  assert(
    found !== undefined,
    `Pool ${pool.id} has no numbers for ${name}; a resolved configuration always has.`,
  );
  return {
    weight: found.weight,
    ...(found.queue_capacity !== undefined && { queueCapacity: found.queue_capacity }),
    ...(found.rate_limit_rps !== undefined && { rateLimitRps: found.rate_limit_rps }),
  };
}

function tenantsOf(pool: PoolConfig): Record<string, TenantSettings> {
  const rows = pool.admission.fairness.tenants.map((tenant): [string, TenantSettings] => [
    tenant.id,
    {
      weight: tenant.weight,
      ...(tenant.max_concurrent !== undefined && { maxConcurrent: tenant.max_concurrent }),
      ...(tenant.rps !== undefined && { rps: tenant.rps }),
      ...(tenant.max_memory_bytes !== undefined && { maxMemoryBytes: tenant.max_memory_bytes }),
    },
  ]);
  return Object.fromEntries(rows);
}

function budgets({ tokens, time_ms, cost }: BudgetsConfig): Budgets {
  return {
    ...(tokens !== undefined && { tokens }),
    ...(time_ms !== undefined && { timeMs: time_ms }),
    ...(cost !== undefined && { cost }),
  };
}
