// Pools as clients and operators see them through the orchestrator, and as pool-managerd answers about its
// own.

import Type, { type Static } from "typebox";
import { PreparedEngine } from "./handoff.ts";
import { ModelRef, PoolId } from "./ids.ts";
import { count, durationMs } from "./number.ts";
import { parser } from "./parse.ts";
import { Compute, Determinism, EngineKind } from "./words.ts";

const textOrNull = Type.Union([Type.String(), Type.Null()]);

/** An unknown pool is answered with live and ready false, so that polling needs no special case. */
export const PoolHealth = Type.Object(
  {
    live: Type.Boolean(),
    ready: Type.Boolean(),
    draining: Type.Boolean(),
    compute: Type.Optional(Compute),
    metrics: Type.Object({
      queue_depth: count,
      slots_total: Type.Optional(count),
      slots_free: Type.Optional(count),
      active_leases: Type.Optional(count),
      vram_free_bytes: Type.Optional(count),
    }),
    last_error: textOrNull,
  },
  { title: "PoolHealth" },
);
export type PoolHealth = Static<typeof PoolHealth>;

export const DrainRequest = Type.Object({ deadline_ms: durationMs }, { title: "DrainRequest" });
export type DrainRequest = Static<typeof DrainRequest>;
export const parseDrainRequest = parser(DrainRequest);

export const ReloadRequest = Type.Object(
  { new_model_ref: ModelRef, drain_deadline_ms: Type.Optional(durationMs) },
  { title: "ReloadRequest" },
);
export type ReloadRequest = Static<typeof ReloadRequest>;
export const parseReloadRequest = parser(ReloadRequest);

export const ReloadReply = Type.Object(
  { pool_id: PoolId, model_ref: ModelRef, engine_version: textOrNull, duration_ms: count },
  { title: "ReloadReply" },
);
export type ReloadReply = Static<typeof ReloadReply>;

const ReplicaView = Type.Object({
  replica_id: Type.String(),
  node_id: Type.Optional(Type.String()),
  ready: Type.Boolean(),
  slots_total: count,
  slots_free: count,
  engine_version: textOrNull,
});

/** One row of the operator's pool list. */
export const PoolView = Type.Object(
  {
    pool_id: PoolId,
    engine: EngineKind,
    model_ref: ModelRef,
    determinism: Determinism,
    compute: Compute,
    devices: Type.Array(count),
    replica_set_id: Type.String(),
    health: PoolHealth,
    replicas: Type.Array(ReplicaView),
  },
  { title: "PoolView" },
);
export type PoolView = Static<typeof PoolView>;

export const PoolList = Type.Object({ pools: Type.Array(PoolView), count }, { title: "PoolList" });
export type PoolList = Static<typeof PoolList>;

/** pool-managerd's own answer about one of its pools. */
export const PoolStatus = Type.Object(
  {
    pool_id: PoolId,
    live: Type.Boolean(),
    ready: Type.Boolean(),
    draining: Type.Boolean(),
    compute: Type.Optional(Compute),
    active_leases: count,
    slots_total: count,
    slots_free: count,
    engine_version: textOrNull,
    engine_digest: Type.Optional(Type.String()),
    device_mask: Type.Optional(Type.String()),
    vram_total_bytes: Type.Optional(count),
    vram_free_bytes: Type.Optional(count),
    compute_capability: Type.Optional(Type.String()),
    models_available: Type.Array(Type.String()),
    last_error: Type.Optional(textOrNull),
    last_drain: Type.Optional(
      Type.Object({
        pool_id: PoolId,
        force_stopped: Type.Boolean(),
        duration_ms: count,
        final_lease_count: count,
      }),
    ),
  },
  { title: "PoolStatus" },
);
export type PoolStatus = Static<typeof PoolStatus>;

export const PreloadRequest = Type.Union(
  [
    Type.Object({ prepared: PreparedEngine }),
    Type.Object({ model_id: Type.String({ minLength: 1 }), engine: EngineKind }),
  ],
  { title: "PreloadRequest", "x-accepts": "{prepared} or {model_id, engine}" },
);
export type PreloadRequest = Static<typeof PreloadRequest>;
export const parsePreloadRequest = parser(PreloadRequest);

export const PreloadReply = Type.Object(
  { pool_id: PoolId, pid: count, handoff_path: Type.String() },
  { title: "PreloadReply" },
);
export type PreloadReply = Static<typeof PreloadReply>;

export const SwapReply = Type.Object(
  {
    success: Type.Boolean(),
    rolled_back: Type.Boolean(),
    new_engine_version: Type.Optional(Type.String()),
    duration_ms: count,
  },
  { title: "SwapReply" },
);
export type SwapReply = Static<typeof SwapReply>;

export const LeaseReply = Type.Object({ active_leases: count }, { title: "LeaseReply" });
export type LeaseReply = Static<typeof LeaseReply>;

export const PoolManagerHealth = Type.Object(
  { status: Type.Literal("ok"), version: Type.String() },
  { title: "PoolManagerHealth" },
);
export type PoolManagerHealth = Static<typeof PoolManagerHealth>;

/** pool-managerd answers its failures with one sentence. */
export const PoolManagerError = Type.Object({ error: Type.String() }, { title: "PoolManagerError" });
export type PoolManagerError = Static<typeof PoolManagerError>;
