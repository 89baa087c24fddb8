// The rows of /v1 and /metrics: exactly the routes that clients and the control of pools need.

import Type from "typebox";
import { ArtifactCreated, ArtifactDocument } from "../artifact.ts";
import { Capabilities } from "../capability.ts";
import { DrainRequest, PoolHealth, ReloadReply, ReloadRequest } from "../pool.ts";
import { SessionInfo } from "../session.ts";
import { AdmissionResponse, TaskRequest } from "../task.ts";
import type { HeaderName, Route } from "./route.ts";

const budget: readonly HeaderName[] = [
  "X-Budget-Tokens-Remaining",
  "X-Budget-Time-Remaining-Ms",
  "X-Budget-Cost-Remaining",
];
const bodyMax = 1_048_576;
const artifactMax = 16_777_216;
const digest = "sha256:3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7";

const taskExample = {
  task_id: "poem-1",
  session_id: "evening",
  workload: "completion",
  model_ref: "haiku",
  engine: "llamacpp",
  ctx: 0,
  priority: "interactive",
  max_tokens: 48,
  deadline_ms: 30_000,
  seed: 7,
  messages: [{ role: "user", content: "Write a haiku about the moon." }],
  sampling: { temperature: 0.8, stop: ["User:"] },
};

const streamExample = [
  'event: started\ndata: {"queue_position":0,"predicted_start_ms":0,',
  '"job_id":"0b9fcd64-9a0c-4d3c-9b59-6b1d3f6b6f0a","engine":"llamacpp","engine_version":"b4567",',
  '"pool_id":"haiku","replica_id":"r0","seed":7}\n\n',
  'id: 0-5c1f2a90\nevent: token\ndata: {"t":"Moon","i":0}\n\n',
  'id: end\nevent: end\ndata: {"tokens_out":1,"decode_time_ms":12,"decode_ms":12}\n\n',
].join("");

export const clientRoutes: readonly Route[] = [
  {
    id: "createTask",
    method: "POST",
    path: "/v1/tasks",
    tag: "tasks",
    summary: "Hand in a task; the answer says at once where it stands and when it starts.",
    auth: "key",
    body: { schema: TaskRequest, example: taskExample, limitBytes: bodyMax },
    replies: {
      202: {
        says: "Accepted and durable. The same task_id with equal fields gets this answer again.",
        schema: AdmissionResponse,
        headers: budget,
        example: {
          task_id: "poem-1",
          job_id: "0b9fcd64-9a0c-4d3c-9b59-6b1d3f6b6f0a",
          queue_position: 2,
          predicted_start_ms: 850,
          backoff_ms: 0,
          streams: { sse: "/v1/tasks/poem-1/stream", sse_verbose: "/v1/tasks/poem-1/stream?verbose=true" },
          preparation: { steps: [] },
        },
      },
    },
    errors: [
      "DEADLINE_UNMET",
      "UNTRUSTED_ARTIFACT",
      "MODEL_DEPRECATED",
      "TASK_CONFLICT",
      "ADMISSION_REJECT",
      "QUEUE_FULL_DROP_LRU",
      "POOL_UNREADY",
      "POOL_UNAVAILABLE",
      "REPLICA_EXHAUSTED",
    ],
  },
  {
    id: "streamTask",
    method: "GET",
    path: "/v1/tasks/{id}/stream",
    tag: "tasks",
    summary: "Follow a task. A reader that was cut off goes on where it was; several may follow one task.",
    auth: "key",
    query: Type.Object({
      verbose: Type.Optional(
        Type.Boolean({ description: "Adds human text and preparation to metrics frames." }),
      ),
      from: Type.Optional(
        Type.Integer({ minimum: 0, description: "Index of the first token frame wanted." }),
      ),
    }),
    requestHeaders: { "Last-Event-ID": "The id of the last frame received; `end` is answered with 204." },
    replies: {
      200: {
        says: "Frames started, token, metrics, then one end or error. Waiting shows as comments.",
        schema: Type.String(),
        contentType: "text/event-stream",
        headers: ["Cache-Control", "X-Accel-Buffering", ...budget],
        example: streamExample,
      },
      204: { says: "The reader has everything; a plain EventSource stops here." },
    },
    errors: ["INVALID_PARAMS", "NOT_FOUND", "GONE"],
  },
  {
    id: "cancelTask",
    method: "POST",
    path: "/v1/tasks/{id}/cancel",
    tag: "tasks",
    summary: "Cancel a task, waiting or running. No token follows the answer.",
    auth: "key",
    replies: { 204: { says: "Cancelled, or already over, or never known." } },
    errors: [],
  },
  {
    id: "getSession",
    method: "GET",
    path: "/v1/sessions/{id}",
    tag: "sessions",
    summary: "What is left of a session's life and budgets. An unknown id answers the defaults.",
    auth: "key",
    replies: {
      200: {
        says: "The session.",
        schema: SessionInfo,
        example: {
          ttl_ms_remaining: 600_000,
          turns: 0,
          kv_bytes: 0,
          kv_warmth: false,
          tokens_budget_remaining: 0,
          time_budget_remaining_ms: 600_000,
          cost_budget_remaining: 0,
          budgets_enforced: { tokens: false, time: false, cost: false },
        },
      },
    },
    errors: ["INVALID_PARAMS"],
  },
  {
    id: "deleteSession",
    method: "DELETE",
    path: "/v1/sessions/{id}",
    tag: "sessions",
    summary: "Forget a session.",
    auth: "key",
    replies: { 204: { says: "Gone, or never known." } },
    errors: [],
  },
  {
    id: "createArtifact",
    method: "POST",
    path: "/v1/artifacts",
    tag: "artifacts",
    summary: "Store a JSON document under the digest of its content.",
    auth: "key",
    body: {
      schema: ArtifactDocument,
      example: { kind: "plan", content: { steps: ["draft", "review"] }, tags: ["release"] },
      limitBytes: artifactMax,
    },
    replies: {
      201: {
        says: "Stored; storing it again gives the same id.",
        schema: ArtifactCreated,
        example: { id: digest, kind: "plan", digest, created_ms: 1_700_000_000_000, tags: ["release"] },
      },
    },
    errors: ["ARTIFACT_STORE_FULL"],
  },
  {
    id: "getArtifact",
    method: "GET",
    path: "/v1/artifacts/{id}",
    tag: "artifacts",
    summary: "Read a stored document; the bare hex digest is accepted too.",
    auth: "key",
    replies: {
      200: {
        says: "The document as it was stored.",
        schema: ArtifactDocument,
        example: { kind: "plan", content: { steps: ["draft", "review"] }, tags: ["release"] },
      },
    },
    errors: ["NOT_FOUND"],
  },
  {
    id: "getCapabilities",
    method: "GET",
    path: "/v1/capabilities",
    tag: "discovery",
    summary: "What this installation can do: engines, limits, features and replica sets.",
    auth: "key",
    replies: {
      200: {
        says: "The capabilities; refreshed when pools or nodes change.",
        schema: Capabilities,
        example: {
          api_version: "1.0.0",
          engines: [
            {
              engine: "llamacpp",
              engine_version: "b4567",
              compute: "cuda",
              ctx_max: 128,
              max_tokens_out: 50_000,
              supported_workloads: ["completion"],
              rate_limits: {},
              features: {
                interruptible_decode: true,
                determinism: "strict",
                continuous_batching: false,
                embeddings: false,
                rerank: false,
              },
              concurrency: 2,
              pools: ["haiku"],
            },
          ],
          replica_sets: [
            {
              id: "rs-1f0c7d52",
              engine: "llamacpp",
              load: 0.5,
              slots_total: 2,
              slots_free: 1,
              slo: { first_token_p95_ms: 42, attainment: 1 },
            },
          ],
        },
      },
    },
    errors: [],
  },
  {
    id: "getPoolHealth",
    method: "GET",
    path: "/v1/pools/{id}/health",
    tag: "pools",
    summary: "Whether a pool lives and serves. An unknown pool answers live and ready false.",
    auth: "key",
    replies: {
      200: {
        says: "The pool's health.",
        schema: PoolHealth,
        example: {
          live: true,
          ready: true,
          draining: false,
          compute: "cuda",
          metrics: { queue_depth: 0, slots_total: 2, slots_free: 2, active_leases: 0 },
          last_error: null,
        },
      },
    },
    errors: [],
  },
  {
    id: "drainPool",
    method: "POST",
    path: "/v1/pools/{id}/drain",
    tag: "pools",
    summary: "Stop giving work to a pool; what still runs at the deadline goes on elsewhere.",
    auth: "key",
    body: { schema: DrainRequest, example: { deadline_ms: 30_000 }, limitBytes: bodyMax },
    replies: { 202: { says: "Draining, durably.", schema: Type.Object({}), example: {} } },
    errors: ["NOT_FOUND"],
  },
  {
    id: "reloadPool",
    method: "POST",
    path: "/v1/pools/{id}/reload",
    tag: "pools",
    summary: "Serve another model from a pool, or keep the old one when the new one does not come up.",
    auth: "key",
    body: {
      schema: ReloadRequest,
      example: { new_model_ref: "haiku@2", drain_deadline_ms: 10_000 },
      limitBytes: bodyMax,
    },
    replies: {
      200: {
        says: "The new model serves.",
        schema: ReloadReply,
        example: { pool_id: "haiku", model_ref: "haiku@2", engine_version: "b4567", duration_ms: 2150 },
      },
    },
    errors: ["NOT_FOUND", "RELOAD_CONFLICT"],
  },
  {
    id: "getMetrics",
    method: "GET",
    path: "/metrics",
    tag: "discovery",
    summary: "Prometheus exposition; scraping changes nothing.",
    auth: "open",
    replies: {
      200: {
        says: "All series.",
        schema: Type.String(),
        contentType: "text/plain; version=0.0.4",
        example: "# TYPE tasks_enqueued_total counter\n",
      },
    },
    errors: [],
  },
];
