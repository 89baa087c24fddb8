// The one table of error codes, the envelope every failure has, and the error that carries a code through the
// program. HTTP statuses and SSE error frames both come from here; nothing else decides whether a client may
// retry.

import Type, { type Static } from "typebox";
import { count } from "./number.ts";
import { EngineKind } from "./words.ts";

export interface ErrorRow {
  readonly status: number;
  readonly retriable: boolean;
  /** `task`: one of the twelve endings a task can have. `edge`: said by the HTTP layer about a request. */
  readonly family: "task" | "edge";
  /** What the envelope may carry besides; `retry_after_ms` is repeated in the headers. */
  readonly advisory: readonly (keyof typeof advisoryFields)[];
  /** Advisory fields that always have this value. */
  readonly fixed?: { readonly error?: string; readonly success?: boolean };
  readonly says: string;
}

export const PolicyLabel = Type.Enum([
  "reject",
  "drop-lru",
  "shed-low-priority",
  "rate-limit",
  "quota",
  "budget",
  "circuit-open",
  "preempted",
  "retry",
  "storage",
]);
export type PolicyLabel = Static<typeof PolicyLabel>;

/** What an error may add to its code and message so that the caller can act on it. */
const advisoryFields = {
  policy_label: PolicyLabel,
  retry_after_ms: Type.Integer({ minimum: 1, maximum: 60_000 }),
  earliest_finish_ms: count,
  predicted_start_ms: count,
  reason: Type.String(),
  hint: Type.String(),
  last_error: Type.Union([Type.String(), Type.Null()]),
  error: Type.String(),
  success: Type.Boolean(),
};

export const errorTable = {
  ADMISSION_REJECT: {
    status: 429,
    retriable: true,
    family: "task",
    advisory: ["policy_label", "retry_after_ms"],
    says: "There is no room for the task now, or a rate, quota or breaker holds it back. Send it again after Retry-After.",
  },
  QUEUE_FULL_DROP_LRU: {
    status: 429,
    retriable: true,
    family: "task",
    advisory: ["policy_label", "retry_after_ms"],
    says: "The queue is full and drop-lru found nothing older to give up, or this task was given up for a newer one.",
  },
  INVALID_PARAMS: {
    status: 400,
    retriable: false,
    family: "task",
    advisory: ["policy_label", "error"],
    says: "A field is missing, of the wrong type or out of range, or a budget cannot cover the task. The message names it.",
  },
  DEADLINE_UNMET: {
    status: 400,
    retriable: false,
    family: "task",
    advisory: ["earliest_finish_ms", "predicted_start_ms"],
    says: "The task cannot finish before its deadline. Allow at least earliest_finish_ms.",
  },
  UNTRUSTED_ARTIFACT: {
    status: 400,
    retriable: false,
    family: "task",
    advisory: ["reason"],
    says: "The model did not pass the trust policy: a digest differs, or a signature or SBOM is required and missing.",
  },
  MODEL_DEPRECATED: {
    status: 403,
    retriable: false,
    family: "task",
    advisory: [],
    says: "The model takes no new sessions. Choose its successor, or set override to true.",
  },
  POOL_UNREADY: {
    status: 503,
    retriable: true,
    family: "task",
    advisory: ["retry_after_ms"],
    says: "The pool exists but does not serve at the moment: it is draining, or its breaker is open.",
  },
  POOL_UNAVAILABLE: {
    status: 503,
    retriable: true,
    family: "task",
    advisory: ["policy_label", "retry_after_ms"],
    says: "No pool serves this model now, its GPU is gone, or the disk is full (policy_label storage).",
  },
  REPLICA_EXHAUSTED: {
    status: 503,
    retriable: true,
    family: "task",
    advisory: ["retry_after_ms"],
    says: "Every replica that may run the task was tried and refused or failed before the first token.",
  },
  DECODE_TIMEOUT: {
    status: 500,
    retriable: true,
    family: "task",
    advisory: [],
    says: "The engine went silent or too slow on every try. Nothing more will be delivered for this task.",
  },
  WORKER_RESET: {
    status: 500,
    retriable: true,
    family: "task",
    advisory: [],
    says: "The engine was lost after delivery began and the stream could not be continued exactly.",
  },
  INTERNAL: {
    status: 500,
    retriable: false,
    family: "task",
    advisory: [],
    says: "A fault of llama-orch or of its engine adapter. The correlation id finds it in the logs.",
  },
  MISSING_TOKEN: {
    status: 401,
    retriable: false,
    family: "edge",
    advisory: ["hint"],
    says: "Send Authorization: Bearer with the token of this installation.",
  },
  BAD_TOKEN: {
    status: 401,
    retriable: false,
    family: "edge",
    advisory: ["hint"],
    says: "The bearer token is not the one this installation was started with.",
  },
  MISSING_API_KEY: {
    status: 401,
    retriable: false,
    family: "edge",
    advisory: ["hint"],
    says: "Send the header X-API-Key.",
  },
  INVALID_API_KEY: {
    status: 403,
    retriable: false,
    family: "edge",
    advisory: ["hint"],
    says: "The API key is not in the configured list.",
  },
  FORBIDDEN_ORIGIN: {
    status: 403,
    retriable: false,
    family: "edge",
    advisory: ["hint"],
    says: "Without a credential only pages and hosts of this machine may call. Configure a key, or allow the origin.",
  },
  NOT_FOUND: {
    status: 404,
    retriable: false,
    family: "edge",
    advisory: ["error"],
    fixed: { error: "not found" },
    says: "There is no such route, task, artifact, model or node for this tenant.",
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    retriable: false,
    family: "edge",
    advisory: [],
    says: "The path exists, but not with this method. The Allow header lists the methods.",
  },
  TASK_CONFLICT: {
    status: 409,
    retriable: false,
    family: "edge",
    advisory: [],
    says: "This task_id was accepted before with other fields. Use a new task_id.",
  },
  RELOAD_CONFLICT: {
    status: 409,
    retriable: false,
    family: "edge",
    advisory: ["last_error"],
    says: "The new model did not come up; the previous one still serves.",
  },
  LIFECYCLE_CONFLICT: {
    status: 409,
    retriable: false,
    family: "edge",
    advisory: [],
    says: "A model may not move from its state to the wanted one. The message lists the moves that are open.",
  },
  GONE: {
    status: 410,
    retriable: false,
    family: "edge",
    advisory: [],
    says: "The stream ended more than ten minutes ago. Its transcript may still be read as an artifact.",
  },
  PAYLOAD_TOO_LARGE: {
    status: 413,
    retriable: false,
    family: "edge",
    advisory: [],
    says: "The body is larger than 1 MiB (artifacts: 16 MiB). Send less, or in several parts.",
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    retriable: false,
    family: "edge",
    advisory: [],
    says: "Bodies are JSON in UTF-8; send Content-Type: application/json.",
  },
  CLOUD_DISABLED: {
    status: 503,
    retriable: false,
    family: "edge",
    advisory: ["success"],
    fixed: { success: false },
    says: "Node routes need the cloud profile: start with ORCHESTRATORD_CLOUD_PROFILE=true.",
  },
  ARTIFACT_STORE_FULL: {
    status: 507,
    retriable: false,
    family: "edge",
    advisory: [],
    says: "The artifact store has reached its limit. Delete artifacts or raise retention.uploads_bytes.",
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;
export const ErrorCode = Type.Enum(Object.keys(errorTable) as ErrorCode[]);

type CodeOfFamily<F> = {
  [C in ErrorCode]: (typeof errorTable)[C]["family"] extends F ? C : never;
}[ErrorCode];

/** The twelve codes a task may end with; the closed list of ORCH-2006. */
export type TaskErrorCode = CodeOfFamily<"task">;
export const taskErrorCodes = (Object.keys(errorTable) as ErrorCode[]).filter(
  (code): code is TaskErrorCode => errorTable[code].family === "task",
);
export const TaskErrorCode = Type.Enum(taskErrorCodes);

export const ErrorEnvelope = Type.Object(
  {
    code: ErrorCode,
    message: Type.Optional(Type.String()),
    engine: Type.Optional(EngineKind),
    pool_id: Type.Optional(Type.String()),
    retriable: Type.Optional(Type.Boolean()),
    ...Type.Partial(Type.Object(advisoryFields)).properties,
  },
  { title: "ErrorEnvelope" },
);
export type ErrorEnvelope = Static<typeof ErrorEnvelope>;

export type ErrorDetails = Omit<ErrorEnvelope, "code" | "message" | "retriable">;

/** An operational error: something a caller can understand and act on. Bugs are assertions, not these. */
export class OrchError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.name = "OrchError";
    this.code = code;
    this.details = details;
  }

  get status(): number {
    return errorTable[this.code].status;
  }

  toEnvelope(): ErrorEnvelope {
    const { retriable, fixed }: ErrorRow = errorTable[this.code];
    return { code: this.code, message: this.message, retriable, ...fixed, ...this.details };
  }
}
