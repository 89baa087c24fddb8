// The closed sets of words that more than one shape uses. Each is a schema and, under the same name, the
// union of its values; `X.enum` lists them. A word that only one shape uses stands in the file of that shape.

import Type, { type Static } from "typebox";

export const EngineKind = Type.Enum(["llamacpp", "vllm", "tgi", "triton"]);
export type EngineKind = Static<typeof EngineKind>;

export const Workload = Type.Enum(["completion", "embedding", "rerank"]);
export type Workload = Static<typeof Workload>;

/** Scheduling classes, most urgent first. The order is the order of precedence everywhere. */
export const Priority = Type.Enum(["interactive", "batch"]);
export type Priority = Static<typeof Priority>;

/**
 * `strict`: no two sequences share a batch and a lost attempt is replayed. `best_effort`: it is continued.
 */
export const Determinism = Type.Enum(["strict", "best_effort"]);
export type Determinism = Static<typeof Determinism>;

export const FullPolicy = Type.Enum(["reject", "drop-lru", "shed-low-priority"]);
export type FullPolicy = Static<typeof FullPolicy>;

export const PreemptionMode = Type.Enum(["disabled", "soft", "hard"]);
export type PreemptionMode = Static<typeof PreemptionMode>;

export const PlacementStrategy = Type.Enum(["least-loaded", "round-robin", "random"]);
export type PlacementStrategy = Static<typeof PlacementStrategy>;

/** Model lifecycle, see `catalog-entry.ts` for the moves that are allowed. */
export const ModelState = Type.Enum(["Draft", "Active", "Canary", "Deprecated", "Retired"]);
export type ModelState = Static<typeof ModelState>;

export const TrustMode = Type.Enum(["permissive", "strict"]);
export type TrustMode = Static<typeof TrustMode>;

export const Compute = Type.Enum(["cuda", "cpu"]);
export type Compute = Static<typeof Compute>;

export const ProvisioningMode = Type.Enum([
  "embedded",
  "external",
  "source",
  "container",
  "package",
  "binary",
]);
export type ProvisioningMode = Static<typeof ProvisioningMode>;

/** Why an attempt that was lost goes on: from its start (strict) or from what was delivered (best effort). */
export const ResumeKind = Type.Enum(["replayed", "continued"]);
export type ResumeKind = Static<typeof ResumeKind>;
