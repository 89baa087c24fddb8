// The one line a supervision writes per event; where it goes is decided by who starts it.

import type { LogRecord } from "@llama-orch/contract";

type Fields =
  | "level"
  | "event"
  | "human"
  | "pool_id"
  | "replica_id"
  | "engine"
  | "restart_count"
  | "backoff_ms"
  | "last_error"
  | "error_kind";

export type LogLine = Pick<LogRecord, Fields>;
export type Log = (line: LogLine) => void;
