// What the installation looks like from outside: health, pools and capabilities, read from the core's state
// and from what the engines said of themselves. Reads only.

import {
  apiVersion,
  type Capabilities,
  type Compute,
  ctxMaxDefault,
  type EngineCapability,
  type OrchestratordConfig,
  type PoolConfig,
  type PoolHealth,
  type PoolList,
  type PoolView,
  type ReplicaSetView,
  Workload,
} from "@llama-orch/contract";
import type { Orchestrator } from "@llama-orch/core";
import type { Directory } from "./replicas/directory.ts";

type State = Orchestrator["state"];
type Pool = NonNullable<ReturnType<State["pools"]["get"]>>;
type Replica = NonNullable<ReturnType<Pool["replicas"]["get"]>>;
type ReplicaSet = NonNullable<ReturnType<State["sets"]["get"]>>;

/** First-token times of a set's recent attempts, and the share that met the objective. */
export interface ServiceLevels {
  of(setId: string): { readonly firstTokenP95Ms: number | null; readonly attainment: number | null };
}

export interface Views {
  poolHealth(poolId: string): PoolHealth;
  pools(): PoolList;
  capabilities(): Capabilities;
}

export interface ViewsOptions {
  readonly config: OrchestratordConfig;
  readonly core: Orchestrator;
  readonly directory: Directory;
  readonly levels: ServiceLevels;
  readonly nowMs: () => number;
}

/** Loads and service levels may be shown as they were so long ago. */
const capabilitiesMs = 1000;

export function views({ config, core, directory, levels, nowMs }: ViewsOptions): Views {
  const configured = new Map(config.pools.map((pool) => [pool.id, pool]));
  const poolHealth = (poolId: string): PoolHealth => {
    const pool = core.state.pools.get(poolId);
    return pool === undefined ? unknownPool : healthOf(pool, computeOf(configured.get(poolId)), nowMs());
  };
  return {
    poolHealth,
    pools() {
      const pools = [...core.state.pools.values()].map((pool) =>
        viewOf(pool, computeOf(configured.get(pool.id)), configured.get(pool.id), nowMs()),
      );
      return { pools, count: pools.length };
    },
    capabilities: kept(
      () => `${directory.version} ${topologyOf(core.state)}`,
      () => {
        const sets = [...core.state.sets.values()].filter(({ replicas }) => replicas.length > 0);
        const engines = [...core.state.pools.values()].map((pool) =>
          capabilityOf(pool, configured.get(pool.id), directory),
        );
        return {
          api_version: apiVersion,
          engines: merged(engines),
          replica_sets: sets.map((set) => setView(set, levels)),
        };
      },
      nowMs,
    ),
  };
}

/** The same object until its key is another one, or until it is too old. */
function kept<T>(keyOf: () => string, make: () => T, nowMs: () => number): () => T {
  let last: { readonly key: string; readonly value: T; readonly atMs: number } | undefined;
  return () => {
    const key = keyOf();
    const atMs = nowMs();
    if (last?.key !== key || atMs - last.atMs >= capabilitiesMs) last = { key, value: make(), atMs };
    return last.value;
  };
}

/** What the core has taken in of the replicas; the directory knows of a change a little earlier. */
function topologyOf({ pools }: State): string {
  let topology = "";
  for (const { id, modelRef, replicas } of pools.values()) {
    topology += `;${id} ${modelRef}`;
    for (const { replicaId, setId, status } of replicas.values())
      topology += `,${replicaId} ${setId} ${status}`;
  }
  return topology;
}

const unknownPool: PoolHealth = {
  live: false,
  ready: false,
  draining: false,
  metrics: { queue_depth: 0 },
  last_error: null,
};

function computeOf(pool: PoolConfig | undefined): Compute {
  return pool !== undefined && pool.devices.length === 0 ? "cpu" : "cuda";
}

const alive = new Set<string>(["starting", "loading", "ready", "draining"]);

function healthOf(pool: Pool, compute: Compute, nowMs: number): PoolHealth {
  const replicas = [...pool.replicas.values()];
  const broken = pool.breaker.openUntilMs !== undefined && pool.breaker.openUntilMs > nowMs;
  const draining = pool.draining !== undefined;
  const lastError = replicas.find((replica) => replica.lastError !== undefined)?.lastError;
  return {
    live: replicas.some(({ status }) => alive.has(status)),
    ready: !draining && !broken && replicas.some(({ status }) => status === "ready"),
    draining,
    compute,
    metrics: {
      queue_depth: pool.waiting.interactive.size + pool.waiting.batch.size,
      slots_total: sum(replicas, slotsTotal),
      slots_free: sum(replicas, slotsFree),
      active_leases: sum(replicas, ({ running }) => running.size),
      ...(compute === "cuda" && { vram_free_bytes: sum(replicas, ({ facts }) => facts.vramFreeBytes) }),
    },
    last_error: lastError ?? null,
  };
}

const slotsTotal = ({ status, facts }: Replica): number => (status === "ready" ? facts.slotsTotal : 0);

function slotsFree(replica: Replica): number {
  const { facts, running } = replica;
  return Math.max(0, slotsTotal(replica) - facts.slotsElsewhere - running.size);
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

function viewOf(pool: Pool, compute: Compute, config: PoolConfig | undefined, nowMs: number): PoolView {
  const replicas = [...pool.replicas.values()];
  return {
    pool_id: pool.id,
    engine: pool.settings.engine,
    model_ref: pool.modelRef,
    determinism: pool.settings.determinism,
    compute,
    devices: [...(config?.devices ?? [])],
    replica_set_id: replicas[0]?.setId ?? "",
    health: healthOf(pool, compute, nowMs),
    replicas: replicas.map((replica) => ({
      replica_id: replica.replicaId,
      ...(replica.facts.nodeId !== null && { node_id: replica.facts.nodeId }),
      ready: replica.status === "ready",
      slots_total: slotsTotal(replica),
      slots_free: slotsFree(replica),
      engine_version: replica.facts.engineVersion,
    })),
  };
}

function capabilityOf(pool: Pool, config: PoolConfig | undefined, directory: Directory): EngineCapability {
  const { settings } = pool;
  const replicas = [...pool.replicas.values()];
  const ready = replicas.filter(({ status }) => status === "ready");
  const features = new Set(ready.flatMap(({ facts }) => facts.features));
  const version = ready[0]?.facts.engineVersion ?? undefined;
  const workloads = Workload.enum.filter((workload) => features.has(workload));
  return {
    engine: settings.engine,
    ...(version !== undefined && { engine_version: version }),
    compute: directory.computeOf(pool.id) ?? computeOf(config),
    ctx_max: Math.max(...replicas.map(({ facts }) => facts.ctxMax), 0) || ctxMaxDefault,
    max_tokens_out: settings.maxTokensOut,
    supported_workloads: workloads.length > 0 ? workloads : ["completion"],
    rate_limits: rateLimits(pool),
    features: {
      interruptible_decode: features.has("interruptible_decode"),
      determinism: settings.determinism,
      continuous_batching:
        settings.determinism === "best_effort" && ready.some(({ facts }) => facts.slotsTotal > 1),
      embeddings: features.has("embedding"),
      rerank: features.has("rerank"),
    },
    concurrency: ready.length === 0 ? null : sum(ready, slotsTotal),
    sampler_profile_version: settings.samplerProfile,
    pools: [pool.id],
  };
}

function rateLimits({ settings }: Pool): Record<string, unknown> {
  const rows = Object.entries(settings.classes).filter(([, { rateLimitRps }]) => rateLimitRps !== undefined);
  return Object.fromEntries(rows.map(([name, { rateLimitRps }]) => [name, { rps: rateLimitRps }]));
}

/** One row for what differs in nothing but its pools. */
function merged(rows: readonly EngineCapability[]): EngineCapability[] {
  const byKind = new Map<string, EngineCapability>();
  for (const row of rows) {
    const { pools, concurrency, ...kind } = row;
    const key = JSON.stringify(kind);
    const same = byKind.get(key);
    if (same === undefined) byKind.set(key, row);
    else {
      byKind.set(key, {
        ...same,
        concurrency:
          same.concurrency === null || concurrency === null
            ? (same.concurrency ?? concurrency)
            : same.concurrency + concurrency,
        pools: [...same.pools, ...pools],
      });
    }
  }
  return [...byKind.values()];
}

function setView(set: ReplicaSet, levels: ServiceLevels): ReplicaSetView {
  const total = sum(set.replicas, slotsTotal);
  const free = sum(set.replicas, slotsFree);
  const { firstTokenP95Ms, attainment } = levels.of(set.id);
  return {
    id: set.id,
    engine: set.key.engine,
    load: total === 0 ? 1 : (total - free) / total,
    slots_total: total,
    slots_free: free,
    slo: { first_token_p95_ms: firstTokenP95Ms, attainment },
  };
}
