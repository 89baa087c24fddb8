// The read-only lists that the operator's tools need: tasks with their state, one page at a time.

import Type, { type Static } from "typebox";
import { TaskErrorCode } from "./errors.ts";
import { JobId, ModelRef, SessionId, TaskId, TenantId } from "./ids.ts";
import { count } from "./number.ts";
import { parser } from "./parse.ts";
import { EngineKind, Priority, Workload } from "./words.ts";

const textOrNull = Type.Union([Type.String(), Type.Null()]);

/** `waiting` and `running` are open; the other three are outcomes. */
export const TaskState = Type.Enum(["waiting", "running", "done", "canceled", "failed"]);
export type TaskState = Static<typeof TaskState>;

export const TaskView = Type.Object(
  {
    task_id: TaskId,
    job_id: JobId,
    session_id: SessionId,
    tenant_id: TenantId,
    workload: Workload,
    model_ref: ModelRef,
    engine: EngineKind,
    priority: Priority,
    state: TaskState,
    code: Type.Optional(TaskErrorCode),
    pool_id: textOrNull,
    replica_id: textOrNull,
    attempt: count,
    queue_position: Type.Union([count, Type.Null()]),
    predicted_start_ms: Type.Union([count, Type.Null()]),
    submitted_at_ms: count,
    started_at_ms: Type.Union([count, Type.Null()]),
    ended_at_ms: Type.Union([count, Type.Null()]),
    deadline_at_ms: count,
    tokens_out: count,
  },
  { title: "TaskView" },
);
export type TaskView = Static<typeof TaskView>;

export const TaskList = Type.Object(
  { tasks: Type.Array(TaskView), next_cursor: Type.Optional(Type.String()) },
  { title: "TaskList" },
);
export type TaskList = Static<typeof TaskList>;

const limit = Type.Integer({ minimum: 1, maximum: 1000, default: 100 });

export const PageQuery = Type.Object({ limit: Type.Optional(limit), cursor: Type.Optional(Type.String()) });
export type PageQuery = Static<typeof PageQuery>;

export const TaskQuery = Type.Object({
  state: Type.Optional(TaskState),
  tenant: Type.Optional(TenantId),
  ...PageQuery.properties,
});
export type TaskQuery = Static<typeof TaskQuery>;

const parsePageShape = parser(PageQuery);
const parseTaskShape = parser(TaskQuery);

/** A query string carries text only; the one number in it is read here, and what is none stays text. */
function withLimit(query: Record<string, unknown>): Record<string, unknown> {
  const { limit: text } = query;
  return typeof text === "string" && /^\d{1,9}$/.test(text) ? { ...query, limit: Number(text) } : query;
}

export const parsePageQuery = (query: Record<string, unknown>): PageQuery => parsePageShape(withLimit(query));
export const parseTaskQuery = (query: Record<string, unknown>): TaskQuery => parseTaskShape(withLimit(query));
