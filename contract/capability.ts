// What an installation can do, as its one discovery endpoint tells it.

import Type, { type Static } from "typebox";
import { count } from "./number.ts";
import { Compute, Determinism, EngineKind, Workload } from "./words.ts";

/** The version of the /v1 document set; OpenAPI's info.version is this value. */
export const apiVersion = "1.0.0";

/** What a model or pool that says nothing about itself is taken for. */
export const ctxMaxDefault = 32_768;
export const maxTokensOutDefault = 50_000;

/** One row per engine, version and compute, so that what runs on a CPU never hides among GPUs. */
export const EngineCapability = Type.Object(
  {
    engine: EngineKind,
    engine_version: Type.Optional(Type.String()),
    compute: Compute,
    ctx_max: count,
    max_tokens_out: count,
    supported_workloads: Type.Array(Workload),
    rate_limits: Type.Record(Type.String(), Type.Unknown()),
    features: Type.Object({
      interruptible_decode: Type.Boolean(),
      determinism: Determinism,
      continuous_batching: Type.Boolean(),
      embeddings: Type.Boolean(),
      rerank: Type.Boolean(),
    }),
    concurrency: Type.Union([count, Type.Null()], {
      description: "Slots over all pools; null while unknown.",
    }),
    sampler_profile_version: Type.Optional(Type.String()),
    pools: Type.Array(Type.String()),
  },
  { title: "EngineCapability" },
);
export type EngineCapability = Static<typeof EngineCapability>;

export const ReplicaSetView = Type.Object(
  {
    id: Type.String(),
    engine: EngineKind,
    load: Type.Number({ minimum: 0, maximum: 1 }),
    slots_total: count,
    slots_free: count,
    slo: Type.Object({
      first_token_p95_ms: Type.Union([Type.Number({ minimum: 0 }), Type.Null()]),
      attainment: Type.Union([Type.Number({ minimum: 0, maximum: 1 }), Type.Null()]),
    }),
  },
  { title: "ReplicaSetView" },
);
export type ReplicaSetView = Static<typeof ReplicaSetView>;

export const Capabilities = Type.Object(
  {
    api_version: Type.String({ pattern: "^\\d+\\.\\d+\\.\\d+$" }),
    engines: Type.Array(EngineCapability),
    replica_sets: Type.Array(ReplicaSetView),
  },
  { title: "Capabilities" },
);
export type Capabilities = Static<typeof Capabilities>;
