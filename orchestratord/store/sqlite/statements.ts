// Every statement that changes a row because of a fact.

import type { DatabaseSync, StatementSync } from "node:sqlite";

const statements = {
  admit:
    "INSERT INTO tasks (serial, job_id, tenant_id, task_id, session_serial, fingerprint, answer) " +
    "VALUES (?, ?, ?, ?, ?, ?, ?)",
  keepTexts: "INSERT INTO texts (serial, facts, body) VALUES (?, ?, ?)",
  send: "UPDATE tasks SET sent = ? WHERE serial = ?",
  progress: "UPDATE tasks SET frames = ?, tokens_out = ?, stream_digest = ? WHERE serial = ?",
  read: "UPDATE tasks SET was_read = 1 WHERE serial = ?",
  end:
    "UPDATE tasks SET sent = NULL, frames = 0, tokens_out = 0, stream_digest = NULL, was_read = 0, " +
    "ended_at = coalesce(ended_at, ?), outcome = ?, transcript = ?, view = ? WHERE serial = ?",
  dropTexts: "DELETE FROM texts WHERE serial = ?",
  endAgain:
    "UPDATE tasks SET outcome = ?, transcript = ?, view = ? " +
    "WHERE task_id = ? AND tenant_id = ? AND job_id = ? AND ended_at IS NOT NULL",
  session:
    "INSERT INTO sessions (serial, tenant_id, session_id, expires_at, turns, tokens, time_ms, cost) " +
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) " +
    "ON CONFLICT (serial) DO UPDATE SET expires_at = excluded.expires_at, turns = excluded.turns " +
    "ON CONFLICT (tenant_id, session_id) DO UPDATE SET serial = excluded.serial, " +
    "expires_at = excluded.expires_at, turns = excluded.turns, tokens = excluded.tokens, " +
    "time_ms = excluded.time_ms, cost = excluded.cost",
  deleteSession: "DELETE FROM sessions WHERE tenant_id = ? AND session_id = ?",
  bookOnTenant:
    "INSERT INTO tenants (tenant_id, tokens, time_ms, cost) SELECT tenant_id, ?, ?, ? FROM tasks " +
    "WHERE serial = ? AND ended_at IS NULL ON CONFLICT DO UPDATE SET tokens = tokens + excluded.tokens, " +
    "time_ms = time_ms + excluded.time_ms, cost = cost + excluded.cost",
  bookOnSession:
    "UPDATE sessions SET tokens = tokens + ?, time_ms = time_ms + ?, cost = cost + ? " +
    "WHERE serial = (SELECT session_serial FROM tasks WHERE serial = ? AND ended_at IS NULL)",
  drain:
    "INSERT INTO drains (pool_id, since, deadline_at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET " +
    "since = excluded.since, deadline_at = excluded.deadline_at",
  undrain: "DELETE FROM drains WHERE pool_id = ?",
  replica:
    "INSERT INTO replicas (pool_id, replica_id, facts) VALUES (?, ?, ?) " +
    "ON CONFLICT DO UPDATE SET facts = excluded.facts",
  dropReplica: "DELETE FROM replicas WHERE pool_id = ? AND replica_id = ?",
  configure:
    "INSERT INTO configured (one, settings) VALUES (1, ?) ON CONFLICT DO UPDATE SET settings = excluded.settings",
  dropDrains: "DELETE FROM drains WHERE pool_id NOT IN (SELECT value FROM json_each(?))",
  dropReplicas: "DELETE FROM replicas WHERE pool_id NOT IN (SELECT value FROM json_each(?))",
  record: "UPDATE recorded SET at = max(at, ?)",
} as const;

export type StatementName = keyof typeof statements;

export type Statements = Readonly<Record<StatementName, StatementSync>>;

export function prepareStatements(db: DatabaseSync): Statements {
  const entries = Object.entries(statements).map(([name, sql]) => [name, db.prepare(sql)] as const);
  return Object.fromEntries(entries) as Record<StatementName, StatementSync>;
}
