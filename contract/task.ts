// A task as a client hands it in, and the answer it gets. `parseTaskRequest` is the only way in;
// `resolveTask` is the one place where the wire's names become the program's, with every default filled in.
// Prompts stay in the body, apart from the fields that decisions are made on.

import Type, { type Static } from "typebox";
import { OrchError } from "./errors.ts";
import { JobId, ModelRef, PoolId, Seed, SessionId, TaskId, TenantId } from "./ids.ts";
import { count, requestTokensMax, yearMs } from "./number.ts";
import { parser } from "./parse.ts";
import { SamplerProfile, Sampling } from "./sampling.ts";
import { schemaProblem } from "./schema-limits.ts";
import { Determinism, EngineKind, Priority, Workload } from "./words.ts";

export const ChatMessage = Type.Object(
  { role: Type.Enum(["system", "user", "assistant", "tool"]), content: Type.String() },
  { title: "ChatMessage" },
);
export type ChatMessage = Static<typeof ChatMessage>;

export const PlacementMode = Type.Enum(["pin", "prefer", "auto"]);
export type PlacementMode = Static<typeof PlacementMode>;

export const PlacementWish = Type.Object(
  {
    mode: Type.Optional(PlacementMode),
    pin_pool_id: Type.Optional(PoolId),
    prefer_pools: Type.Optional(Type.Array(PoolId, { maxItems: 256 })),
    avoid_pools: Type.Optional(Type.Array(PoolId, { maxItems: 256 })),
    require_device_mask: Type.Optional(
      Type.String({
        pattern: "^\\d+(,\\d+)*$",
        maxLength: 256,
        "x-accepts": "device numbers separated by commas, such as 0,1",
      }),
    ),
    allow_fallback: Type.Optional(Type.Boolean()),
  },
  { title: "PlacementWish" },
);

const text = Type.String();
/** Of the label that a task carries and a canary asks for. */
export const labelMax = 128;
const inputs = Type.Array(Type.String(), { minItems: 1, maxItems: 2048 });

/**
 * Limits that depend on the model (ctx, max_tokens) or have a code of their own (deadline_ms) are checked at
 * admission, not here.
 */
export const TaskRequest = Type.Object(
  {
    task_id: TaskId,
    session_id: SessionId,
    workload: Workload,
    model_ref: ModelRef,
    engine: EngineKind,
    ctx: Type.Integer({
      minimum: 0,
      maximum: requestTokensMax,
      description: "Context length in tokens; 0 takes the model's own.",
    }),
    priority: Priority,
    max_tokens: Type.Integer({ minimum: 1, maximum: requestTokensMax }),
    deadline_ms: Type.Integer({
      minimum: -yearMs,
      maximum: yearMs,
      description: "Milliseconds from admission, at most a year. 0 and less is DEADLINE_UNMET.",
    }),
    seed: Type.Optional(Seed),
    determinism: Type.Optional(Determinism),
    sampler_profile_version: Type.Optional(SamplerProfile),
    sampling: Type.Optional(Sampling),
    prompt: Type.Optional(text),
    messages: Type.Optional(Type.Array(ChatMessage, { minItems: 1, maxItems: 4096 })),
    query: Type.Optional(text),
    inputs: Type.Optional(inputs),
    expected_tokens: Type.Optional(Type.Integer({ minimum: 0, maximum: requestTokensMax })),
    kv_hint: Type.Optional(Type.Enum(["reuse", "cold"])),
    output_mode: Type.Optional(
      Type.String({ description: "text, json or edits; anything else means text." }),
    ),
    tenant_id: Type.Optional(TenantId),
    label: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: labelMax,
        description: "What marks the task; a pool whose canary names it tries the canary's model on it.",
      }),
    ),
    override: Type.Optional(Type.Boolean()),
    placement: Type.Optional(PlacementWish),
  },
  { title: "TaskRequest" },
);
export type TaskRequest = Static<typeof TaskRequest>;

/** The texts of a task. They are loaded at dispatch and never enter a decision. */
export type TaskBody = Pick<TaskRequest, "prompt" | "messages" | "query" | "inputs">;

/**
 * The fields of a task; everything that may be decided on, nothing that a person wrote as text. What the
 * request leaves to its pool (determinism, sampling) stays open until the pool is known.
 */
export interface Task {
  readonly taskId: string;
  readonly sessionId: string;
  readonly tenantId: string;
  readonly workload: Workload;
  readonly modelRef: string;
  readonly engine: EngineKind;
  readonly ctx: number;
  readonly priority: Priority;
  readonly maxTokens: number;
  readonly deadlineMs: number;
  readonly seed: number;
  /** Absent: the kind of the pool that takes the task. */
  readonly determinism?: Determinism;
  readonly expectedTokens?: number;
  readonly kvHint: "reuse" | "cold";
  /** What marks it for a canary that asks for such tasks. */
  readonly label?: string;
  readonly override: boolean;
  /** Absent: the profile of the pool that takes the task. */
  readonly samplerProfile?: SamplerProfile;
  /** What was wished; `resolveSampling` adds the rest once the pool is known. */
  readonly sampling: Sampling;
  readonly placement: Placement;
}

export interface Placement {
  readonly mode: PlacementMode;
  readonly pinPoolId?: string;
  readonly preferPools: readonly string[];
  readonly avoidPools: readonly string[];
  readonly requireDeviceMask?: string;
  readonly allowFallback: boolean;
}

const parseShape = parser(TaskRequest);

/**
 * INVALID_PARAMS names the first field that does not fit; fields that belong to another workload are refused.
 */
export function parseTaskRequest(value: unknown): TaskRequest {
  const request = parseShape(value, named(value));
  const wrong = textRules.find((rule) => rule.breaks(request));
  if (wrong !== undefined) throw new OrchError("INVALID_PARAMS", wrong.says, { engine: request.engine });
  const schema = request.sampling?.json_schema;
  const problem = schema === undefined ? undefined : schemaProblem(schema);
  if (problem !== undefined) {
    throw new OrchError("INVALID_PARAMS", `sampling.json_schema: ${problem}`, { engine: request.engine });
  }
  return request;
}

/** The engine of a request, as far as it says one; its errors carry it (ORCH-2006). */
function named(request: unknown): { engine?: EngineKind } {
  const wished = (request as { engine?: unknown } | null | undefined)?.engine;
  const engine = EngineKind.enum.find((kind) => kind === wished);
  return engine === undefined ? {} : { engine };
}

const textRules: readonly { breaks: (task: TaskRequest) => boolean; says: string }[] = [
  {
    breaks: (task) => task.prompt !== undefined && task.messages !== undefined,
    says: "messages: prompt is given too; send one of them.",
  },
  {
    breaks: (task) => task.workload !== "completion" && task.messages !== undefined,
    says: "messages: only the workload completion takes messages.",
  },
  {
    breaks: (task) => task.workload === "rerank" && task.prompt !== undefined,
    says: "prompt: a rerank takes query and inputs, no prompt.",
  },
  {
    breaks: (task) => task.workload !== "rerank" && task.query !== undefined,
    says: "query: only the workload rerank takes a query.",
  },
  {
    breaks: (task) => task.workload === "completion" && task.inputs !== undefined,
    says: "inputs: a completion takes prompt or messages, no inputs.",
  },
  {
    breaks: (task) =>
      task.workload === "embedding" && (task.prompt === undefined) === (task.inputs === undefined),
    says: "inputs: an embedding needs inputs or prompt, one of them.",
  },
  {
    breaks: (task) => task.workload === "rerank" && task.query === undefined,
    says: "query: a rerank needs a query.",
  },
  {
    breaks: (task) => task.workload === "rerank" && task.inputs === undefined,
    says: "inputs: a rerank needs the inputs to rank.",
  },
  {
    breaks: (task) => task.placement?.mode === "pin" && task.placement.pin_pool_id === undefined,
    says: "placement.pin_pool_id: mode pin needs the pool to pin to.",
  },
];

/** What the edge adds to a request: who asks, and the seed to take when the client fixed none. */
export interface TaskOrigin {
  /** Bound to the caller's key; it overrides the tenant the request names. */
  readonly tenantId?: string;
  /** First 8 bytes of sha256(task_id) mod 2^53. Computed at the edge, since the contract does no hashing. */
  readonly defaultSeed: number;
}

export function resolveTask(request: TaskRequest, origin: TaskOrigin): Task {
  return {
    taskId: request.task_id,
    sessionId: request.session_id,
    tenantId: origin.tenantId ?? request.tenant_id ?? "default",
    workload: request.workload,
    modelRef: request.model_ref,
    engine: request.engine,
    ctx: request.ctx,
    priority: request.priority,
    maxTokens: request.max_tokens,
    deadlineMs: request.deadline_ms,
    seed: request.seed ?? origin.defaultSeed,
    ...(request.determinism && { determinism: request.determinism }),
    ...(request.expected_tokens !== undefined && { expectedTokens: request.expected_tokens }),
    kvHint: request.kv_hint ?? "reuse",
    ...(request.label !== undefined && { label: request.label }),
    override: request.override ?? false,
    ...(request.sampler_profile_version && { samplerProfile: request.sampler_profile_version }),
    sampling: request.sampling ?? {},
    placement: resolvePlacement(request.placement),
  };
}

function resolvePlacement(wish: TaskRequest["placement"] = {}): Placement {
  return {
    mode: wish.mode ?? "auto",
    ...(wish.pin_pool_id !== undefined && { pinPoolId: wish.pin_pool_id }),
    preferPools: wish.prefer_pools ?? [],
    avoidPools: wish.avoid_pools ?? [],
    ...(wish.require_device_mask !== undefined && { requireDeviceMask: wish.require_device_mask }),
    allowFallback: wish.allow_fallback ?? true,
  };
}

export function bodyOf(request: TaskRequest): TaskBody {
  const { prompt, messages, query, inputs } = request;
  return {
    ...(prompt !== undefined && { prompt }),
    ...(messages !== undefined && { messages }),
    ...(query !== undefined && { query }),
    ...(inputs !== undefined && { inputs }),
  };
}

export const PreparationStep = Type.Object(
  {
    id: Type.String(),
    kind: Type.Enum(["engine_provision", "model_fetch", "pool_warmup"]),
    group: Type.Enum(["engine", "model", "pool"]),
    description: Type.String(),
    estimated_ms: Type.Optional(count),
    bytes_total: Type.Optional(count),
    status: Type.Enum(["pending", "running", "completed", "failed"]),
  },
  { title: "PreparationStep" },
);
export type PreparationStep = Static<typeof PreparationStep>;

export const AdmissionResponse = Type.Object(
  {
    task_id: TaskId,
    job_id: JobId,
    queue_position: Type.Integer({ ...count, description: "0-based, within the task's class." }),
    predicted_start_ms: Type.Integer({ ...count, description: "Milliseconds from now." }),
    backoff_ms: count,
    streams: Type.Object({ sse: Type.String(), sse_verbose: Type.String() }),
    preparation: Type.Object({ steps: Type.Array(PreparationStep) }),
  },
  { title: "AdmissionResponse" },
);
export type AdmissionResponse = Static<typeof AdmissionResponse>;
