// What is asked of the tables: everything at a start, and single tasks afterwards. It writes nothing.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { TaskBody, TaskView } from "@llama-orch/contract";
import type { Settings } from "@llama-orch/core";
import type { NamedTask } from "../naming.ts";
import type { EndedTask, Recovered, RecoveredTask } from "../store.ts";

export class Reading {
  readonly #db: DatabaseSync;
  readonly #body: StatementSync;
  readonly #ofTenant: StatementSync;
  readonly #ofAny: StatementSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#body = db.prepare("SELECT body FROM texts WHERE serial = ?");
    this.#ofTenant = db.prepare(newest("task_id = ? AND tenant_id = ?"));
    this.#ofAny = db.prepare(newest("task_id = ?"));
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  body(serial: number): TaskBody | undefined {
    const row = this.#body.get(serial);
    return row === undefined ? undefined : JSON.parse(row.body as string);
  }

  /** The newest of that name, of one tenant or of any, which is live or ended since then. */
  newest(tenantId: string | undefined, taskId: string, sinceMs: number): NamedTask | undefined {
    const row =
      tenantId === undefined
        ? this.#ofAny.get(taskId, sinceMs)
        : this.#ofTenant.get(taskId, tenantId, sinceMs);
    return row === undefined ? undefined : namedTask(row as unknown as NamedRow);
  }

  /** The number that no task has yet. */
  nextSerial(): number {
    return Number(this.#db.prepare("SELECT coalesce(max(serial), 0) + 1 AS next FROM tasks").get()?.next);
  }

  live(): Map<string, number> {
    const rows = this.#db.prepare("SELECT serial, job_id FROM texts CROSS JOIN tasks USING (serial)").all();
    return new Map(rows.map((row) => [row.job_id as string, row.serial as number]));
  }

  recover(): Recovered {
    const settings = this.#all<{ settings: string }>("SELECT settings FROM configured")[0]?.settings;
    return {
      nowMs: this.#all<{ at: number }>("SELECT at FROM recorded")[0]?.at ?? 0,
      settings: settings === undefined ? null : (JSON.parse(settings) as Settings),
      replicas: this.#all<ReplicaRow>(replicas).map(({ facts, ...row }) => ({
        ...row,
        facts: JSON.parse(facts),
      })),
      drains: this.#all<DrainRow>(drains).map((row) => ({ ...row })),
      tasks: this.#all<TaskRow>(tasks).map(recoveredTask),
      sessions: this.#all<SessionRow>(sessions).map(({ tokens, timeMs, cost, ...row }) => ({
        ...row,
        spent: { tokens, timeMs, cost },
      })),
      tenants: this.#all<TenantRow>(tenants).map(({ tenantId, ...spent }) => ({ tenantId, spent })),
    };
  }

  past(limit: number): TaskView[] {
    const rows = this.#db.prepare(past).all(limit) as { view: string }[];
    return rows.map(({ view }) => JSON.parse(view) as TaskView).reverse();
  }

  #all<T>(sql: string): T[] {
    return this.#db.prepare(sql).all() as T[];
  }
}

const newest = (which: string): string =>
  "SELECT job_id AS jobId, tenant_id AS tenantId, task_id AS taskId, fingerprint, answer, ended_at AS endedAtMs, " +
  `outcome, transcript FROM tasks WHERE ${which} AND (ended_at IS NULL OR ended_at >= ?) ` +
  "ORDER BY serial DESC LIMIT 1";

const past =
  "SELECT view FROM tasks WHERE ended_at IS NOT NULL AND view IS NOT NULL ORDER BY ended_at DESC, serial DESC LIMIT ?";
const replicas = "SELECT pool_id AS poolId, replica_id AS replicaId, facts FROM replicas";
const drains = "SELECT pool_id AS poolId, since AS sinceMs, deadline_at AS deadlineAtMs FROM drains";
const sessions =
  "SELECT tenant_id AS tenantId, session_id AS sessionId, serial, expires_at AS expiresAtMs, turns, tokens, " +
  "time_ms AS timeMs, cost FROM sessions";
const tenants = "SELECT tenant_id AS tenantId, tokens, time_ms AS timeMs, cost FROM tenants";
const tasks =
  "SELECT job_id AS jobId, fingerprint, answer, facts, sent, frames, tokens_out AS tokensOut, " +
  "stream_digest AS streamDigest, was_read AS wasRead " +
  "FROM texts CROSS JOIN tasks USING (serial) ORDER BY serial";

interface NamedRow {
  readonly jobId: string;
  readonly tenantId: string;
  readonly taskId: string;
  readonly fingerprint: string;
  readonly answer: string;
  readonly endedAtMs: number | null;
  readonly outcome: string;
  readonly transcript: string | null;
}

interface ReplicaRow {
  readonly poolId: string;
  readonly replicaId: string;
  readonly facts: string;
}

type DrainRow = Recovered["drains"][number];

interface SpentRow {
  readonly tokens: number;
  readonly timeMs: number;
  readonly cost: number;
}

interface SessionRow extends SpentRow {
  readonly tenantId: string;
  readonly sessionId: string;
  readonly serial: number;
  readonly expiresAtMs: number;
  readonly turns: number;
}

interface TenantRow extends SpentRow {
  readonly tenantId: string;
}

interface TaskRow {
  readonly jobId: string;
  readonly fingerprint: string;
  readonly answer: string;
  readonly facts: string;
  readonly sent: string | null;
  readonly frames: number;
  readonly tokensOut: number;
  readonly streamDigest: string | null;
  readonly wasRead: number;
}

function namedTask({ fingerprint, answer, ...row }: NamedRow): NamedTask {
  const ended = endedTask(row);
  return { fingerprint, answer: JSON.parse(answer), ...(ended && { ended }) };
}

function endedTask(row: Omit<NamedRow, "fingerprint" | "answer">): EndedTask | undefined {
  const { endedAtMs: atMs, outcome, transcript, ...named } = row;
  if (atMs === null) return undefined;
  return { ...named, atMs, outcome: JSON.parse(outcome), ...(transcript !== null && { transcript }) };
}

function recoveredTask(row: TaskRow): RecoveredTask {
  const { answer, facts, sent, streamDigest, wasRead, ...plain } = row;
  return {
    ...JSON.parse(facts),
    ...plain,
    answer: JSON.parse(answer),
    wasRead: wasRead === 1,
    ...(sent !== null && { sentTo: JSON.parse(sent) }),
    ...(streamDigest !== null && { streamDigest }),
  };
}
