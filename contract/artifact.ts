// Stored documents and the transcript that every task leaves behind. An artifact is named by the digest of
// its canonical JSON, so equal documents are one.

import Type, { type Static } from "typebox";
import { ArtifactId, JobId, ModelRef, Seed } from "./ids.ts";
import { count } from "./number.ts";
import { parser } from "./parse.ts";
import { Sampling } from "./sampling.ts";
import { ChatMessage, TaskRequest } from "./task.ts";
import { EngineKind } from "./words.ts";

export const ArtifactKind = Type.Enum([
  "plan",
  "summary",
  "diff",
  "trace",
  "transcript",
  "logs",
  "doc",
  "other",
]);
export type ArtifactKind = Static<typeof ArtifactKind>;

const open = Type.Record(Type.String(), Type.Unknown());

/** Any JSON object may be stored; these are the fields that llama-orch reads from it. */
export const ArtifactDocument = Type.Object(
  {
    kind: Type.Optional(Type.Unknown()),
    content: Type.Optional(open),
    tags: Type.Optional(Type.Array(Type.String())),
    parent: Type.Optional(Type.String()),
    metadata: Type.Optional(open),
  },
  { title: "ArtifactDocument", additionalProperties: true },
);
export type ArtifactDocument = Static<typeof ArtifactDocument> & Record<string, unknown>;
export const parseArtifactDocument: (value: unknown) => ArtifactDocument = parser(ArtifactDocument);

export const ArtifactCreated = Type.Object(
  {
    id: ArtifactId,
    kind: ArtifactKind,
    digest: ArtifactId,
    created_ms: count,
    tags: Type.Array(Type.String()),
  },
  { title: "ArtifactCreated" },
);
export type ArtifactCreated = Static<typeof ArtifactCreated>;

/** A document that names no known kind is stored as `doc`. */
export function kindOf(document: { readonly kind?: unknown }): ArtifactKind {
  return ArtifactKind.enum.find((kind) => kind === document.kind) ?? "doc";
}

/** `sha256:<hex>` or the bare hex, as a path may carry it; undefined for anything else. */
export function parseArtifactId(text: string): ArtifactId | undefined {
  const hex = /^(?:sha256:)?([0-9a-f]{64})$/.exec(text)?.[1];
  return hex === undefined ? undefined : `sha256:${hex}`;
}

/** What stands for a text that must not be kept: enough to recognise it, nothing to read. */
export const RedactedText = Type.Object({ length: count, sha256: Type.String() }, { title: "RedactedText" });

/** A request as its transcript keeps it: every field as it was sent, except that texts are redacted. */
const RedactedRequest = Type.Object(
  {
    ...Type.Omit(TaskRequest, ["prompt", "messages", "query", "inputs"]).properties,
    prompt: Type.Optional(RedactedText),
    messages: Type.Optional(
      Type.Array(Type.Object({ role: ChatMessage.properties.role, content: RedactedText })),
    ),
    query: Type.Optional(RedactedText),
    inputs: Type.Optional(Type.Array(RedactedText)),
  },
  { title: "RedactedRequest", additionalProperties: false },
);

export const Transcript = Type.Object(
  {
    kind: Type.Literal("trace"),
    events: Type.Array(Type.Object({ type: Type.String(), data: open, ts_ms: count })),
    tags: Type.Array(Type.String()),
    metadata: Type.Object({
      job_id: JobId,
      engine: EngineKind,
      engine_version: Type.Union([Type.String(), Type.Null()]),
      pool_id: Type.Union([Type.String(), Type.Null()]),
      replica_id: Type.Union([Type.String(), Type.Null()]),
      sampler_profile_version: Type.Optional(Type.String()),
      model_ref: ModelRef,
      model_digest: Type.Optional(Type.String()),
      seed: Seed,
      sampling: Sampling,
      request: RedactedRequest,
      tokens_out: count,
      decode_time_ms: count,
      error: Type.Optional(Type.String()),
    }),
  },
  { title: "Transcript" },
);
export type Transcript = Static<typeof Transcript>;

/**
 * JSON with sorted keys and no spaces: the one text of a value, and so the base of its digest. The recursion
 * ends because no parser lets a value in that is nested deeper than `levelsMax`.
 */
export function canonicalJson(value: unknown): string {
  // What is in order already is written in one go, which costs a third.
  if (isInOrder(value)) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  let fields = "";
  for (const key of Object.keys(value as object).sort()) {
    const field = (value as Record<string, unknown>)[key];
    if (field === undefined) continue;
    fields += `${fields === "" ? "" : ","}${JSON.stringify(key)}:${canonicalJson(field)}`;
  }
  return `{${fields}}`;
}

function isInOrder(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) return value.every(isInOrder);
  let before = "";
  for (const key of Object.keys(value)) {
    if (key < before || !isInOrder((value as Record<string, unknown>)[key])) return false;
    before = key;
  }
  return true;
}
