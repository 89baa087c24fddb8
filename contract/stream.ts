// The stream of a task: five kinds of frame, the comments a waiting reader gets, and the ids by which a
// reader that comes back proves where it was. The text form of a frame is fixed here once, since replayed
// bytes must be equal.

import Type, { type Static } from "typebox";
import { ErrorEnvelope, TaskErrorCode } from "./errors.ts";
import { ArtifactId, Digest, JobId, PoolId, ReplicaId, Seed } from "./ids.ts";
import { count } from "./number.ts";
import { EngineKind, ResumeKind } from "./words.ts";

const nullable = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/** A task that ends before it was ever placed sends `started` with pool, replica and engine version null. */
export const StartedFrame = Type.Object(
  {
    queue_position: count,
    predicted_start_ms: count,
    job_id: JobId,
    engine: EngineKind,
    engine_version: nullable(Type.String()),
    pool_id: nullable(PoolId),
    replica_id: nullable(ReplicaId),
    sampler_profile_version: Type.Optional(Type.String()),
    model_digest: Type.Optional(Digest),
    seed: Seed,
  },
  { title: "StartedFrame" },
);

const Piece = Type.Object({ t: Type.String(), i: count });

/** `batch` appears only with micro-batching; then `t` and `i` repeat its first piece. */
export const TokenFrame = Type.Object(
  { t: Type.String(), i: count, batch: Type.Optional(Type.Array(Piece)) },
  { title: "TokenFrame" },
);

const PrepState = Type.Object({
  status: Type.Enum(["pending", "running", "completed", "failed"]),
  bytes_total: Type.Optional(count),
  bytes_done: Type.Optional(count),
  pct: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
  phase: Type.Optional(Type.String()),
  human: Type.Optional(Type.String()),
});

export const MetricsFrame = Type.Object(
  {
    queue_depth: count,
    on_time_probability: Type.Number({ minimum: 0, maximum: 1 }),
    kv_warmth: Type.Boolean(),
    tokens_budget_remaining: count,
    time_budget_remaining_ms: count,
    cost_budget_remaining: Type.Number({ minimum: 0 }),
    kv_migrated: Type.Optional(Type.Boolean()),
    preempted: Type.Optional(Type.Boolean()),
    resumable: Type.Optional(Type.Boolean()),
    resumed: Type.Optional(ResumeKind),
    attempt: Type.Optional(Type.Integer({ minimum: 1 })),
    prep: Type.Optional(Type.Record(Type.String(), PrepState)),
    human: Type.Optional(Type.String()),
  },
  { title: "MetricsFrame" },
);

/** What an embedding or a rerank answers with; completions have none. */
export const Result = Type.Object(
  {
    embeddings: Type.Optional(Type.Array(Type.Array(Type.Number()))),
    scores: Type.Optional(Type.Array(Type.Object({ index: count, score: Type.Number() }))),
  },
  { title: "Result" },
);

export const EndFrame = Type.Object(
  {
    tokens_out: count,
    decode_time_ms: count,
    decode_ms: count,
    canceled: Type.Optional(Type.Boolean()),
    result: Type.Optional(Result),
    transcript: Type.Optional(ArtifactId),
  },
  { title: "EndFrame" },
);

export const ErrorFrame = Type.Object(
  {
    ...ErrorEnvelope.properties,
    code: TaskErrorCode,
    message: Type.String(),
    retriable: Type.Boolean(),
    engine: EngineKind,
    job_id: JobId,
    correlation_id: Type.String(),
    transcript: Type.Optional(ArtifactId),
  },
  { title: "ErrorFrame" },
);

/**
 * The JSON after `: waiting `, sent on change and at most once a second until the first attempt is placed.
 */
export const WaitingComment = Type.Object(
  {
    queue_position: count,
    predicted_start_ms: count,
    prep: Type.Optional(Type.Record(Type.String(), PrepState)),
  },
  { title: "WaitingComment" },
);

export type StartedFrame = Static<typeof StartedFrame>;
export type TokenFrame = Static<typeof TokenFrame>;
export type MetricsFrame = Static<typeof MetricsFrame>;
export type Result = Static<typeof Result>;
export type EndFrame = Static<typeof EndFrame>;
export type ErrorFrame = Static<typeof ErrorFrame>;
export type WaitingComment = Static<typeof WaitingComment>;

/** The five event names and what each carries; the list is closed (ORCH-2002). */
export const frames = {
  started: StartedFrame,
  token: TokenFrame,
  metrics: MetricsFrame,
  end: EndFrame,
  error: ErrorFrame,
} as const;
export type FrameName = keyof typeof frames;

/** `data` must already be one line; `JSON.stringify` without an indent gives that. */
export function frameText(event: FrameName, data: string, id?: string): string {
  return id === undefined
    ? `event: ${event}\ndata: ${data}\n\n`
    : `id: ${id}\nevent: ${event}\ndata: ${data}\n\n`;
}

export const heartbeatText = ": keep-alive\n\n";

export function waitingText(waiting: WaitingComment): string {
  return `: waiting ${JSON.stringify(waiting)}\n\n`;
}

/** The id of both terminal frames; a reader that comes back with it has everything. */
export const endFrameId = "end";

export interface StreamPosition {
  /** Index of the last frame the reader has. */
  readonly index: number;
  /** First 8 hex digits of the running digest after that frame; absent when the reader sent a bare index. */
  readonly digest?: string;
}

/** `<index>-<8 hex>`, `<index>` or `end`; undefined for anything else. */
export function parseFrameId(id: string): StreamPosition | "end" | undefined {
  if (id === endFrameId) return "end";
  const match = /^(0|[1-9]\d{0,9})(?:-([0-9a-f]{8}))?$/.exec(id);
  if (match === null) return undefined;
  return match[2] === undefined ? { index: Number(match[1]) } : { index: Number(match[1]), digest: match[2] };
}
