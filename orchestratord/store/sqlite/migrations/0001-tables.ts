// The first shape of the store. A file here is never changed once a daemon was given away with it.

export const tables = `
-- A row stays after the end of its task for as long as its name is answered; what is only needed to go on
-- with it lies in texts, so that the tasks that are not over are those with a row there.
CREATE TABLE tasks (
  serial INTEGER PRIMARY KEY,
  job_id TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  task_id TEXT NOT NULL,
  session_serial INTEGER,
  fingerprint TEXT NOT NULL,
  answer TEXT NOT NULL,
  sent TEXT,
  frames INTEGER NOT NULL DEFAULT 0,
  tokens_out INTEGER NOT NULL DEFAULT 0,
  stream_digest TEXT,
  was_read INTEGER NOT NULL DEFAULT 0,
  ended_at INTEGER,
  outcome TEXT,
  transcript TEXT
) STRICT;
CREATE INDEX tasks_by_name ON tasks (task_id, tenant_id);
CREATE INDEX tasks_by_end ON tasks (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE texts (
  serial INTEGER PRIMARY KEY,
  facts TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;

CREATE TABLE sessions (
  serial INTEGER PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  turns INTEGER NOT NULL,
  tokens REAL NOT NULL,
  time_ms REAL NOT NULL,
  cost REAL NOT NULL,
  UNIQUE (tenant_id, session_id)
) STRICT;

CREATE TABLE tenants (
  tenant_id TEXT PRIMARY KEY,
  tokens REAL NOT NULL,
  time_ms REAL NOT NULL,
  cost REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE drains (
  pool_id TEXT PRIMARY KEY,
  since INTEGER NOT NULL,
  deadline_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE replicas (
  pool_id TEXT NOT NULL,
  replica_id TEXT NOT NULL,
  facts TEXT NOT NULL,
  PRIMARY KEY (pool_id, replica_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE configured (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  settings TEXT NOT NULL
) STRICT;

CREATE TABLE recorded (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  at INTEGER NOT NULL
) STRICT;
INSERT INTO recorded VALUES (1, 0);
`;
