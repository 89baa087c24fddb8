// The fields of a log line and of a narration event. Lines are JSON, one per event, never one per token; a
// field that is not listed here does not leave a daemon.

import Type, { type Static } from "typebox";
import { count } from "./number.ts";
import { Compute } from "./words.ts";

const text = Type.String();
const open = Type.Record(Type.String(), Type.Unknown());

/**
 * `localhost`, or `token:` and the first six hex digits of the credential's sha256: recognisable, not usable.
 */
export const Identity = Type.String({ pattern: "^(localhost|token:[0-9a-f]{6})$" });

const taskFields = {
  job_id: text,
  task_id: text,
  session_id: text,
  client_id: text,
  tenant_id: text,
  engine: text,
  engine_version: text,
  sampler_profile_version: text,
  model_id: text,
  model_digest: text,
  quant: text,
  ctx: count,
  tensor_split: Type.Array(Type.Number()),
  pool_id: text,
  replica_id: text,
  priority: text,
  weight: Type.Number(),
  seed: count,
  queue_position: count,
  predicted_start_ms: count,
  queue_time_ms: count,
  first_token_ms: count,
  decode_time_ms: count,
  tokens_in: count,
  tokens_out: count,
  kv_warmth: Type.Boolean(),
  kv_migrated: Type.Boolean(),
  deadline_ms: count,
  on_time_probability: Type.Number(),
  preempted: Type.Boolean(),
  eviction_events: count,
  oom_events: count,
  driver_reset_events: count,
  error_kind: text,
  retry_after_ms: count,
};

const decisionFields = {
  selected_pool_id: text,
  candidates_considered: Type.Object({ candidates_total: count, candidates_feasible: count }),
  filters_applied: Type.Array(text),
  tie_breakers_applied: Type.Array(text),
  pinned: Type.Boolean(),
  fallback_used: Type.Boolean(),
  reason: text,
};

/** What a sandboxed policy was asked and said. */
const policyFields = {
  plugin_id: text,
  plugin_version: text,
  decision: text,
  latency_ms: Type.Number({ minimum: 0 }),
  outcome: text,
};

const poolFields = {
  compute: Compute,
  device_mask: text,
  restart_count: count,
  backoff_ms: count,
  last_error: text,
  active_leases: count,
};

const optional = <F extends Record<string, Type.TSchema>>(fields: F) =>
  Type.Partial(Type.Object(fields)).properties;

/** The last line of a task, and those of an engine process, name every field; what is not known is null. */
type Unknowable<F extends Record<string, Type.TSchema>> = {
  [K in keyof F]: Type.TOptional<Type.TUnion<[F[K], Type.TNull]>>;
};
function unknowable<F extends Record<string, Type.TSchema>>(fields: F): Unknowable<F> {
  const rows = Object.entries(fields).map(([key, schema]) => [
    key,
    Type.Optional(Type.Union([schema, Type.Null()])),
  ]);
  return Object.fromEntries(rows);
}

export const LogRecord = Type.Object(
  {
    timestamp: text,
    level: Type.Enum(["trace", "debug", "info", "warn", "error", "fatal"]),
    service: text,
    version: text,
    event: text,
    correlation_id: Type.Optional(text),
    identity: Type.Optional(Identity),
    human: Type.Optional(text),
    ...unknowable(taskFields),
    ...optional(decisionFields),
    ...optional(policyFields),
    ...unknowable(poolFields),
    details: Type.Optional(open),
  },
  { title: "LogRecord", additionalProperties: false },
);
export type LogRecord = Static<typeof LogRecord>;

/** What the program did, in words a person understands: who, what, to what. */
export const Narration = Type.Object(
  {
    actor: text,
    action: text,
    target: text,
    human: Type.String({ minLength: 1, maxLength: 120 }),
    correlation_id: Type.Optional(text),
    ...optional({
      session_id: text,
      job_id: text,
      task_id: text,
      pool_id: text,
      replica_id: text,
      worker_id: text,
      error_kind: text,
      retry_after_ms: count,
      backoff_ms: count,
      duration_ms: count,
      queue_position: count,
      predicted_start_ms: count,
      engine: text,
      engine_version: text,
      model_ref: text,
      device: text,
      tokens_in: count,
      tokens_out: count,
      decode_time_ms: count,
      emitted_by: text,
      emitted_at_ms: count,
      trace_id: Type.String({ pattern: "^[0-9a-f]{32}$" }),
      span_id: Type.String({ pattern: "^[0-9a-f]{16}$" }),
      parent_span_id: text,
      source_location: text,
    }),
  },
  { title: "Narration", additionalProperties: false },
);
export type Narration = Static<typeof Narration>;

/** Events of the gate; their `identity` says who. */
export const AuthEvent = Type.Enum([
  "auth_success",
  "auth_failed",
  "startup_bind_refused",
  "node_registered",
  "node_deregistered",
]);
export type AuthEvent = Static<typeof AuthEvent>;

/** Headers by which one request is followed from program to program. */
export const propagationHeaders = [
  "X-Correlation-Id",
  "X-Trace-Id",
  "X-Span-Id",
  "X-Parent-Span-Id",
] as const;

/** What stands where a secret was. */
export const redacted = "[REDACTED]";
