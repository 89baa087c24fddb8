// Identifiers as they appear on the wire. Clients choose task and session ids, so both are free-form but safe
// in a path, a header and a file name; everything the daemons name themselves has one fixed form.

import Type, { type Static } from "typebox";

/** `.` and `..` would be safe characters, but a path is resolved over them. */
const safeId = (description: string) =>
  Type.String({
    pattern: "^(?!\\.{1,2}$)[A-Za-z0-9._:-]{1,128}$",
    description,
    "x-accepts": "1 to 128 of the characters A-Z a-z 0-9 . _ : - but not . or .. alone",
  });

export const TaskId = safeId("Chosen by the client; the key of idempotent submit. Unique inside its tenant.");
export const SessionId = safeId("Chosen by the client; groups tasks that share a conversation.");
export const TenantId = safeId("Who the work is charged to; `default` when nobody says otherwise.");
export const PoolId = safeId("Names a pool of the configuration.");
export const ReplicaId = safeId("Names one running engine inside its pool.");
export const NodeId = safeId("Names one machine.");

export const JobId = Type.String({
  pattern: "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
  description: "Made by the orchestrator for every accepted task.",
  "x-accepts": "a lower-case UUIDv4",
});

export const ArtifactId = Type.String({
  pattern: "^sha256:[0-9a-f]{64}$",
  description: "The digest of the canonical JSON of the document.",
  "x-accepts": "sha256: and 64 lower-case hex digits",
});

export const Digest = Type.String({
  pattern: "^sha256:[0-9a-f]{64}$",
  "x-accepts": "sha256: and 64 lower-case hex digits",
});

export const ModelRef = Type.String({
  minLength: 1,
  maxLength: 1024,
  description:
    "A model as a person writes it: a catalog id, a path, or an hf:, file:, http(s):, s3: or oci: reference.",
  "x-accepts": "a model reference of 1 to 1024 characters",
});

/** A seed is a JSON integer, so it stays below 2^53; the engine gets it modulo 4294967295. */
export const Seed = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** The engine's seed range ends below its "choose one for me" value. */
export const engineSeed = (seed: number): number => seed % 4_294_967_295;

const correlationId = /^[\x21-\x7e]{1,128}$/;

/**
 * A caller's correlation id is kept when it is 1 to 128 visible ASCII characters; anything else is replaced.
 */
export function isCorrelationId(value: unknown): value is string {
  return typeof value === "string" && correlationId.test(value);
}

export type TaskId = Static<typeof TaskId>;
export type SessionId = Static<typeof SessionId>;
export type TenantId = Static<typeof TenantId>;
export type PoolId = Static<typeof PoolId>;
export type ReplicaId = Static<typeof ReplicaId>;
export type NodeId = Static<typeof NodeId>;
export type JobId = Static<typeof JobId>;
export type ArtifactId = Static<typeof ArtifactId>;
