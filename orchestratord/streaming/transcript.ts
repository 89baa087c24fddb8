// What a stream leaves behind: every frame with its time, who made it, and the request with its texts
// redacted; and the way back, by which a finished stream is served again. The same writers make the frames
// both times, so their bytes are the same. A transcript is written as the text that is stored, never built as
// a document: every task ends with one. Where transcripts are kept is not its business.

import { hash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import {
  canonicalJson,
  type EndFrame,
  type ErrorFrame,
  type FrameName,
  type MetricsFrame,
  type Placement,
  type StartedFrame,
  type Task,
  type TaskBody,
  type Transcript,
} from "@llama-orch/contract";
import { WrittenDocument } from "../artifacts/artifacts.ts";
import type { Clock } from "../clock.ts";
import type { TaskRecord } from "../task-record.ts";
import { canonicalEvents, eventText } from "./canonical-events.ts";
import { piecesOf } from "./frame-text.ts";
import type { Pulse } from "./pulse.ts";
import type { Segments } from "./segments.ts";
import { type StreamSettings, TaskStream } from "./task-stream.ts";

type Event = Transcript["events"][number];
type Metadata = Transcript["metadata"];
type Request = Metadata["request"];
type Redacted = NonNullable<Request["prompt"]>;

/** What a transcript is made from. */
export type Told = Pick<
  TaskRecord,
  "jobId" | "task" | "samplerProfile" | "sampling" | "stream" | "placed" | "outcome" | "endedAtMs"
>;

/** About so much of a long stream is written before others have their turn. */
const pieceChars = 64 * 1024;

/**
 * Asked before the terminal frame leaves, since that names the transcript; the stored copy cannot. Metrics
 * are kept as verbose readers saw them. Until the last piece is taken nothing may be written to the stream.
 */
export function transcriptOf(
  record: Told,
  terminal: EndFrame | ErrorFrame,
  body: TaskBody | undefined,
): WrittenDocument {
  const { taskId, sessionId } = record.task;
  const tags = ["sse", "stream", `task:${taskId}`, `session:${sessionId}`];
  return new WrittenDocument("trace", tags, textOf(record, terminal, metadataOf(record, body), tags));
}

function* textOf(
  { stream, endedAtMs }: Told,
  { transcript: _itself, ...terminal }: EndFrame | ErrorFrame,
  metadata: Metadata,
  tags: readonly string[],
): Generator<string> {
  let text = '{"events":[';
  for (const entry of stream.entries()) {
    text += canonicalEvents(entry.verbose ?? entry.text, entry.atMs);
    if (text.length < pieceChars) continue;
    yield text;
    text = "";
  }
  text += eventText("code" in terminal ? "error" : "end", canonicalJson(terminal), endedAtMs ?? 0);
  yield `${text}],"kind":"trace","metadata":${canonicalJson(metadata)},"tags":${canonicalJson(tags)}}`;
}

function metadataOf(
  { jobId, task, placed, outcome, samplerProfile, sampling }: Told,
  body: TaskBody = {},
): Metadata {
  // In the order of its text, which is written faster so.
  return {
    decode_time_ms: outcome?.decodeMs ?? 0,
    engine: task.engine,
    engine_version: placed?.engineVersion ?? null,
    ...(outcome?.kind === "failed" && { error: outcome.code }),
    job_id: jobId,
    ...(placed?.modelDigest !== undefined && { model_digest: placed.modelDigest }),
    model_ref: task.modelRef,
    pool_id: placed?.poolId ?? null,
    replica_id: placed?.replicaId ?? null,
    request: requestOf(task, body),
    sampler_profile_version: samplerProfile,
    sampling,
    seed: task.seed,
    tokens_out: outcome?.tokensOut ?? 0,
  };
}

export interface StreamAgainOptions {
  readonly transcript: Transcript;
  /** The artifact id that the terminal frame named. */
  readonly transcriptId: string;
  readonly settings: StreamSettings;
  readonly segments: Segments;
  readonly clock: Clock;
  readonly pulse: Pulse;
  onReaders(count: number): void;
}

/** Frames of a finished stream that are made in one go. */
const framesAtOnce = 500;

/**
 * A finished stream that can be followed like a live one. It needs no release: all of it is in memory. A long
 * one is made in pieces, between which others have their turn.
 */
export async function streamAgain(o: StreamAgainOptions): Promise<TaskStream> {
  const { transcript, transcriptId, segments, clock, pulse } = o;
  const everything = Number.POSITIVE_INFINITY;
  const stream = new TaskStream({
    jobId: transcript.metadata.job_id,
    // A token event is one frame again, whatever came together with it then.
    settings: { ...o.settings, ringBytes: everything, microbatch: true, microbatchTokens: everything },
    segments,
    clock,
    pulse,
    onReaders: o.onReaders,
  });
  for (const [n, { type, data }] of transcript.events.entries()) {
    if (n > 0 && n % framesAtOnce === 0) await setImmediate();
    write(stream, type as FrameName, data, transcriptId);
  }
  return stream;
}

function write(stream: TaskStream, event: FrameName, data: Event["data"], transcript: string): void {
  switch (event) {
    case "started":
      return stream.started(data as StartedFrame);
    case "token":
      stream.tokens(piecesOf(data));
      return;
    case "metrics":
      return stream.metrics(data as MetricsFrame, data as MetricsFrame);
    case "end":
      return stream.end({ ...(data as EndFrame), transcript });
    case "error":
      return stream.error({ ...(data as ErrorFrame), transcript });
    default:
      event satisfies never;
  }
}

/** The fields as they were parsed, with the defaults that were filled in, in the order of their text. */
function requestOf(task: Task, { inputs, messages, prompt, query }: TaskBody): Request {
  return {
    ctx: task.ctx,
    deadline_ms: task.deadlineMs,
    ...(task.determinism !== undefined && { determinism: task.determinism }),
    engine: task.engine,
    ...(task.expectedTokens !== undefined && { expected_tokens: task.expectedTokens }),
    ...(inputs !== undefined && { inputs: inputs.map(redact) }),
    kv_hint: task.kvHint,
    ...(task.label !== undefined && { label: task.label }),
    max_tokens: task.maxTokens,
    ...(messages !== undefined && {
      messages: messages.map(({ role, content }) => ({ content: redact(content), role })),
    }),
    model_ref: task.modelRef,
    override: task.override,
    placement: placementOf(task.placement),
    priority: task.priority,
    ...(prompt !== undefined && { prompt: redact(prompt) }),
    ...(query !== undefined && { query: redact(query) }),
    ...(task.samplerProfile !== undefined && { sampler_profile_version: task.samplerProfile }),
    sampling: task.sampling,
    seed: task.seed,
    session_id: task.sessionId,
    task_id: task.taskId,
    tenant_id: task.tenantId,
    workload: task.workload,
  };
}

function placementOf(placement: Placement): NonNullable<Request["placement"]> {
  return {
    allow_fallback: placement.allowFallback,
    avoid_pools: [...placement.avoidPools],
    mode: placement.mode,
    ...(placement.pinPoolId !== undefined && { pin_pool_id: placement.pinPoolId }),
    prefer_pools: [...placement.preferPools],
    ...(placement.requireDeviceMask !== undefined && { require_device_mask: placement.requireDeviceMask }),
  };
}

function redact(text: string): Redacted {
  return { length: text.length, sha256: hash("sha256", text) };
}
