// Every accepted task by its job and by its name, beside the core: live ones whole, ended ones as long as
// lists and repeats may ask for them. It remembers and finds; it decides nothing.

import { OrchError, type TaskQuery, type TaskState, type TaskView } from "@llama-orch/contract";
import type { TaskRecord } from "./task-record.ts";

/** Ended tasks that lists still show; beyond it the longest ended go. */
const endedMax = 10_000;

export class Tasks {
  readonly #byJob = new Map<string, TaskRecord>();
  readonly #byName = new Map<string, TaskRecord>();
  /** The latest of that name, whoever's it is. */
  readonly #byTaskId = new Map<string, TaskRecord>();
  /** Longest ended first. */
  readonly #ended = new Set<TaskRecord>();
  readonly #keepEndedMs: number;

  constructor(keepEndedMs: number) {
    this.#keepEndedMs = keepEndedMs;
  }

  get live(): number {
    return this.#byJob.size - this.#ended.size;
  }

  add(record: TaskRecord): void {
    const { tenantId, taskId } = record.task;
    this.#byJob.set(record.jobId, record);
    this.#byName.set(nameOf(tenantId, taskId), record);
    this.#byTaskId.set(taskId, record);
  }

  ended(record: TaskRecord, nowMs: number): void {
    this.#ended.add(record);
    for (const oldest of this.#ended) {
      if (this.#ended.size <= endedMax && (oldest.endedAtMs ?? 0) > nowMs - this.#keepEndedMs) return;
      this.forget(oldest);
    }
  }

  job(jobId: string): TaskRecord | undefined {
    return this.#byJob.get(jobId);
  }

  find(tenantId: string, taskId: string): TaskRecord | undefined {
    return this.#byName.get(nameOf(tenantId, taskId));
  }

  /**
   * For a caller that is bound to no tenant: the default one's task first, else whoever's is of that name.
   */
  findAny(taskId: string): TaskRecord | undefined {
    return this.find("default", taskId) ?? this.#byTaskId.get(taskId);
  }

  all(): Iterable<TaskRecord> {
    return this.#byJob.values();
  }

  /**
   * Newest first, from after the cursor, which names the last row of the page before.
   * @throws OrchError INVALID_PARAMS for a cursor that no page has given out
   */
  page(query: TaskQuery, tenantId: string | undefined): { rows: TaskRecord[]; next: string | undefined } {
    const limit = query.limit ?? pageDefault;
    const wanted = tenantId ?? query.tenant;
    const all = [...this.#byJob.values()];
    const rows: TaskRecord[] = [];
    for (let at = (query.cursor === undefined ? all.length : placeOf(all, query.cursor)) - 1; at >= 0; at--) {
      const record = all[at] as TaskRecord;
      if (wanted !== undefined && record.task.tenantId !== wanted) continue;
      if (query.state !== undefined && record.state !== query.state) continue;
      if (rows.length === limit) return { rows, next: cursorOf(rows.at(-1) as TaskRecord) };
      rows.push(record);
    }
    return { rows, next: undefined };
  }

  /** As if it had never been: for one that has ended, or that was withdrawn. */
  forget(record: TaskRecord): void {
    this.#ended.delete(record);
    this.#byJob.delete(record.jobId);
    const name = nameOf(record.task.tenantId, record.task.taskId);
    if (this.#byName.get(name) === record) this.#byName.delete(name);
    if (this.#byTaskId.get(record.task.taskId) === record) this.#byTaskId.delete(record.task.taskId);
  }
}

const pageDefault = 100;

const cursorOf = ({ submittedAtMs, jobId }: TaskRecord): string => `${submittedAtMs}.${jobId}`;

/** Where the row of a cursor was forgotten meanwhile, what was handed in before it follows. */
function placeOf(oldestFirst: readonly TaskRecord[], cursor: string): number {
  const [, submittedAt, jobId] = /^(\d{1,16})\.([\w-]+)$/.exec(cursor) ?? [];
  if (submittedAt === undefined) {
    const given = JSON.stringify(cursor.slice(0, 100));
    throw new OrchError("INVALID_PARAMS", `cursor: given ${given}; accepted: the next_cursor of an answer.`);
  }
  const at = oldestFirst.findLastIndex((record) => record.jobId === jobId);
  return at >= 0
    ? at
    : 1 + oldestFirst.findLastIndex(({ submittedAtMs }) => submittedAtMs < Number(submittedAt));
}

const nameOf = (tenantId: string, taskId: string): string => `${tenantId} ${taskId}`;

/** Where a waiting task stands now, as the core sees it. */
export interface Standing {
  readonly position: number;
  readonly predictedStartMs: number;
}

export function viewOf(record: TaskRecord, standing: Standing | undefined): TaskView {
  const { task } = record;
  return {
    task_id: task.taskId,
    job_id: record.jobId,
    session_id: task.sessionId,
    tenant_id: task.tenantId,
    workload: task.workload,
    model_ref: task.modelRef,
    engine: task.engine,
    priority: task.priority,
    state: record.state,
    ...(record.code !== undefined && { code: record.code }),
    pool_id: record.placed?.poolId ?? null,
    replica_id: record.placed?.replicaId ?? null,
    attempt: record.attempt,
    queue_position: standing?.position ?? null,
    predicted_start_ms: standing?.predictedStartMs ?? null,
    submitted_at_ms: record.submittedAtMs,
    started_at_ms: record.startedAtMs ?? null,
    ended_at_ms: record.endedAtMs ?? null,
    deadline_at_ms: record.submittedAtMs + task.deadlineMs,
    // Of an attempt that runs only its stream knows.
    tokens_out: Math.max(record.tokensOut, record.state === "running" ? record.stream.tokensOut : 0),
  };
}

export const isOpen = (state: TaskState): boolean => state === "waiting" || state === "running";
