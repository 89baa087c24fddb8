// The files by which one program tells another that an engine is ready or a model is staged, and what a
// provisioner plans and hands over. Files are written by rename and read once.

import Type, { type Static } from "typebox";
import { PoolId, ReplicaId } from "./ids.ts";
import { count } from "./number.ts";
import { parser } from "./parse.ts";
import { invalidParams, type Problem } from "./problem.ts";
import { Compute, EngineKind, ProvisioningMode } from "./words.ts";

const flags = Type.Array(Type.String());
const StagedModel = Type.Object({ id: Type.String(), path: Type.String() });

/** `slots` is an old spelling of `slots_total`; readers accept both. */
export const Handoff = Type.Object(
  {
    url: Type.String({ pattern: "^https?://", "x-accepts": "an http:// or https:// address" }),
    pool_id: Type.Optional(PoolId),
    replica_id: Type.Optional(ReplicaId),
    engine: Type.Optional(EngineKind),
    engine_version: Type.Optional(Type.String()),
    provisioning_mode: Type.Optional(ProvisioningMode),
    device_mask: Type.Optional(Type.String()),
    slots_total: Type.Optional(count),
    slots_free: Type.Optional(count),
    slots: Type.Optional(count),
    model: Type.Optional(StagedModel),
    flags: Type.Optional(flags),
    pid: Type.Optional(count),
  },
  { title: "Handoff" },
);
export type Handoff = Static<typeof Handoff>;

const parseHandoffShape = parser(Handoff);

export interface ReadyReplica extends Handoff {
  pool_id: string;
  replica_id: string;
  slots_total: number;
  slots_free: number;
}

/** Fills in what a handoff may leave out: pool `default`, replica `r0`, one slot, all of them free. */
export function parseHandoff(value: unknown): ReadyReplica {
  const { slots, ...handoff } = parseHandoffShape(value);
  const slotsTotal = handoff.slots_total ?? slots ?? 1;
  const slotsFree = handoff.slots_free ?? slotsTotal;
  const tooMany = tooManyFree("slots_free", slotsFree, slotsTotal);
  if (tooMany.length > 0) throw invalidParams(tooMany);
  return {
    ...handoff,
    pool_id: handoff.pool_id ?? "default",
    replica_id: handoff.replica_id ?? "r0",
    slots_total: slotsTotal,
    slots_free: slotsFree,
  };
}

/** No replica and no pool has more free slots than slots. */
export function tooManyFree(path: string, free: number, total: number): Problem[] {
  const accepted = `at most slots_total, which is ${total}`;
  return free <= total ? [] : [{ path, given: String(free), accepted, unknownKey: false }];
}

/** A staged model. It has no url, by which a reader tells it from an engine's handoff. */
export const ModelHandoff = Type.Object(
  {
    model: StagedModel,
    metadata: Type.Object({ size_bytes: count, ctx_max: Type.Union([count, Type.Null()]) }),
  },
  { title: "ModelHandoff" },
);
export type ModelHandoff = Static<typeof ModelHandoff>;

export const ModelProvenance = Type.Object(
  {
    ts_ms: count,
    model_id: Type.String(),
    path: Type.String(),
    size_bytes: count,
    cfg: Type.Record(Type.String(), Type.Unknown()),
  },
  { title: "ModelProvenance" },
);
export type ModelProvenance = Static<typeof ModelProvenance>;

export const PreparedEngine = Type.Object(
  {
    engine: EngineKind,
    engine_version: Type.String({ minLength: 1 }),
    build_ref: Type.Optional(Type.String()),
    engine_digest: Type.Optional(Type.String()),
    provisioning_mode: ProvisioningMode,
    binary_path: Type.Optional(Type.String()),
    image_ref: Type.Optional(Type.String()),
    flags,
    host: Type.Literal("127.0.0.1"),
    port: Type.Integer({ minimum: 0, maximum: 65_535 }),
    model_path: Type.String(),
    pool_id: PoolId,
    replica_id: ReplicaId,
    device_mask: Type.Optional(Type.String()),
    engine_catalog_id: Type.Optional(Type.String()),
    compute: Compute,
  },
  { title: "PreparedEngine" },
);
export type PreparedEngine = Static<typeof PreparedEngine>;

export const PlanStepKind = Type.Enum([
  "preflight-tools",
  "git-clone",
  "cmake-configure",
  "cmake-build",
  "pull-image",
  "package-install",
  "download",
  "model-fetch",
  "run",
  "policy-violation",
]);

export const Plan = Type.Object(
  {
    pool_id: PoolId,
    steps: Type.Array(Type.Object({ kind: PlanStepKind, detail: Type.String() })),
  },
  { title: "Plan" },
);
export type Plan = Static<typeof Plan>;
