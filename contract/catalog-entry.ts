// Models and engines as the catalog keeps them, what a caller may send to create one, and the moves of a
// model's life.

import Type, { type Static } from "typebox";
import { OrchError } from "./errors.ts";
import { Digest } from "./ids.ts";
import { count, durationMs } from "./number.ts";
import { parser } from "./parse.ts";
import { EngineKind, ModelState, TrustMode } from "./words.ts";

const text = Type.String({ minLength: 1 });
const texts = Type.Array(Type.String());
const orNull = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

export const TrustPolicy = Type.Object(
  {
    mode: TrustMode,
    allowed_registries: texts,
    require_signature: Type.Boolean(),
    require_sbom: Type.Boolean(),
    ca_roots: texts,
  },
  { title: "TrustPolicy" },
);

const Manifest = Type.Object({ digest: Digest, size_bytes: count });
const Signature = Type.Object({ signer: text, algo: text, verified: Type.Boolean(), timestamp_ms: count });
const Sbom = Type.Object({ uri: text, digest: Digest });

/** Files of the index carry a digest as {algo, value}; in memory and on the wire it is one string. */
export const FileDigest = Type.Object(
  { algo: Type.Literal("sha256"), value: Type.String({ pattern: "^[0-9a-f]{64}$" }) },
  { title: "FileDigest" },
);

export const CatalogEntry = Type.Object(
  {
    id: text,
    local_path: Type.String(),
    lifecycle: ModelState,
    digest: orNull(Digest),
    last_verified_ms: orNull(count),
    source_url: Type.Optional(Type.String()),
    tags: texts,
    manifests: Type.Array(Manifest),
    signatures: Type.Array(Signature),
    sbom: orNull(Sbom),
    trust_policy: orNull(TrustPolicy),
    resolved_from_tag: Type.Optional(Type.String()),
    created_ms: count,
  },
  { title: "CatalogEntry" },
);
export type CatalogEntry = Static<typeof CatalogEntry>;

/** What a caller sends; the catalog fills in the rest. */
export const CatalogInput = Type.Object(
  {
    id: text,
    ...Type.Partial(
      Type.Pick(CatalogEntry, [
        "local_path",
        "lifecycle",
        "digest",
        "source_url",
        "tags",
        "manifests",
        "signatures",
        "sbom",
        "trust_policy",
        "resolved_from_tag",
      ]),
    ).properties,
  },
  { title: "CatalogInput" },
);
export type CatalogInput = Static<typeof CatalogInput>;

const parseInputShape = parser(CatalogInput);

export function parseCatalogInput(value: unknown): CatalogInput {
  const id = (value as { id?: unknown } | null)?.id;
  if (id === undefined || id === "") {
    throw new OrchError("INVALID_PARAMS", "id required", { error: "id required" });
  }
  return parseInputShape(value);
}

export const CatalogList = Type.Object(
  { models: Type.Array(CatalogEntry), next_cursor: Type.Optional(Type.String()) },
  { title: "CatalogList" },
);
export type CatalogList = Static<typeof CatalogList>;

export const CatalogIndex = Type.Object(
  { version: Type.Literal(1), entries: Type.Record(Type.String(), CatalogEntry) },
  { title: "CatalogIndex" },
);
export type CatalogIndex = Static<typeof CatalogIndex>;

export const EngineEntry = Type.Object(
  {
    id: Type.String({ pattern: "^[^:@]+:[^@]+@.+$", "x-accepts": "engine:version@digest" }),
    engine: EngineKind,
    version: text,
    build_ref: Type.Optional(Type.String()),
    digest: Type.Optional(Type.String()),
    build_flags: Type.Optional(texts),
    artifacts: texts,
    created_ms: count,
  },
  { title: "EngineEntry" },
);
export type EngineEntry = Static<typeof EngineEntry>;

export const EngineIndex = Type.Object(
  { version: Type.Literal(1), entries: Type.Record(Type.String(), EngineEntry) },
  { title: "EngineIndex" },
);
export type EngineIndex = Static<typeof EngineIndex>;

export const VerificationResult = Type.Enum(["pass", "warn", "fail"]);
export type VerificationResult = Static<typeof VerificationResult>;

export const Verification = Type.Object(
  {
    id: text,
    result: VerificationResult,
    reason: Type.Optional(Type.String()),
    last_verified_ms: orNull(count),
  },
  { title: "Verification" },
);
export type Verification = Static<typeof Verification>;

export const StateRequest = Type.Object(
  { state: ModelState, deadline_ms: Type.Optional(durationMs) },
  { title: "StateRequest" },
);
export type StateRequest = Static<typeof StateRequest>;
export const parseStateRequest = parser(StateRequest);

export const StateReply = Type.Object({ id: text, state: ModelState }, { title: "StateReply" });
export type StateReply = Static<typeof StateReply>;

/** Forward only, except that an operator may bring a deprecated model back. Retired is final. */
export const lifecycleMoves = {
  Draft: ["Active", "Canary"],
  Canary: ["Active", "Deprecated"],
  Active: ["Deprecated", "Retired"],
  Deprecated: ["Retired", "Active"],
  Retired: [],
} as const satisfies Record<ModelState, readonly ModelState[]>;

export function mayMove(from: ModelState, to: ModelState): boolean {
  return (lifecycleMoves[from] as readonly ModelState[]).includes(to);
}
