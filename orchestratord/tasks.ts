// Every accepted task by its job and by its name, beside the core: live ones whole, ended ones as long as
// lists and repeats may ask for them. It remembers and finds; it decides nothing.

import { OrchError, type Task, type TaskQuery, type TaskState, type TaskView } from "@llama-orch/contract";
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
  /** Of an earlier process, oldest first. */
  readonly #past: readonly PastTask[];

  constructor(keepEndedMs: number, past: readonly TaskView[] = []) {
    this.#keepEndedMs = keepEndedMs;
    this.#past = past.map(pastTask).sort((a, b) => a.submittedAtMs - b.submittedAtMs);
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

  /** The latest of that name that ended in an earlier process. */
  past(tenantId: string | undefined, taskId: string): PastTask | undefined {
    return this.#past.findLast(
      ({ task }) => task.taskId === taskId && (tenantId === undefined || task.tenantId === tenantId),
    );
  }

  all(): Iterable<TaskRecord> {
    return this.#byJob.values();
  }

  /**
   * Newest first, from after the cursor, which names the last row of the page before.
   * @throws OrchError INVALID_PARAMS for a cursor that no page has given out
   */
  page(query: TaskQuery, tenantId: string | undefined): { rows: Row[]; next: string | undefined } {
    const limit = query.limit ?? pageDefault;
    const wanted = tenantId ?? query.tenant;
    const all = this.#oldestFirst();
    const rows: Row[] = [];
    for (let at = (query.cursor === undefined ? all.length : placeOf(all, query.cursor)) - 1; at >= 0; at--) {
      const record = all[at] as Row;
      if (wanted !== undefined && record.task.tenantId !== wanted) continue;
      if (query.state !== undefined && record.state !== query.state) continue;
      if (rows.length === limit) return { rows, next: cursorOf(rows.at(-1) as Row) };
      rows.push(record);
    }
    return { rows, next: undefined };
  }

  /** What an earlier process left unfinished is older than what ended in it later. */
  #oldestFirst(): readonly Row[] {
    const records = [...this.#byJob.values()];
    if (this.#past.length === 0) return records;
    return [...this.#past, ...records].sort((a, b) => a.submittedAtMs - b.submittedAtMs);
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

const cursorOf = ({ submittedAtMs, jobId }: Row): string => `${submittedAtMs}.${jobId}`;

/** Where the row of a cursor was forgotten meanwhile, what was handed in before it follows. */
function placeOf(oldestFirst: readonly Row[], cursor: string): number {
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

/** What lists show: tasks of this process, and ended ones of an earlier one. */
export type Row = TaskRecord | PastTask;

/** It ended in an earlier process, and how it was shown last is all that is left. */
export interface PastTask extends Pick<TaskRecord, "jobId" | "submittedAtMs" | "state"> {
  readonly task: Pick<Task, "tenantId" | "taskId">;
  readonly view: TaskView;
}

const pastTask = (view: TaskView): PastTask => ({
  jobId: view.job_id,
  submittedAtMs: view.submitted_at_ms,
  state: view.state,
  task: { tenantId: view.tenant_id, taskId: view.task_id },
  view,
});

const nameOf = (tenantId: string, taskId: string): string => `${tenantId} ${taskId}`;

/** Where a waiting task stands now, as the core sees it. */
export interface Standing {
  readonly position: number;
  readonly predictedStartMs: number;
}

export function viewOf(record: Row, standing: Standing | undefined): TaskView {
  if ("view" in record) return record.view;
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
