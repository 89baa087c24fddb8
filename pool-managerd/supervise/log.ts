// The one line a supervision writes per event, and what each of a process says; where it goes is decided by
// who starts it.

import type { EngineKind, LogRecord, ReplicaFault } from "@llama-orch/contract";

type Fields =
  | "level"
  | "event"
  | "human"
  | "pool_id"
  | "replica_id"
  | "engine"
  | "engine_version"
  | "device_mask"
  | "model_id"
  | "restart_count"
  | "backoff_ms"
  | "last_error"
  | "active_leases"
  | "error_kind";

export type LogLine = Pick<LogRecord, Fields>;
export type Log = (line: LogLine) => void;

/** Which process it is. */
export interface Supervised {
  readonly poolId: string;
  readonly replicaId: string;
  readonly engine: EngineKind;
  readonly modelRef: string;
  /** The GPUs it may use, by number; empty on the CPU. */
  readonly deviceMask: string;
  /** Attempts that run on a pool now. */
  readonly activeLeases: (poolId: string) => number;
}

/** How it stands with it. */
export interface Standing {
  readonly engineVersion: string | undefined;
  readonly restarts: number;
  readonly lastError: string | undefined;
  readonly fault: ReplicaFault | undefined;
}

/** What every line of a process says; what is not known, or is not, is null. */
export function fieldsOf(
  { poolId, replicaId, engine, modelRef, deviceMask, activeLeases }: Supervised,
  { engineVersion, restarts, lastError, fault }: Standing,
): Omit<LogLine, "level" | "event" | "human"> {
  return {
    pool_id: poolId,
    replica_id: replicaId,
    engine,
    engine_version: engineVersion ?? null,
    device_mask: deviceMask,
    model_id: modelRef,
    restart_count: restarts,
    backoff_ms: null,
    last_error: lastError ?? null,
    active_leases: activeLeases(poolId),
    ...(fault !== undefined && { error_kind: fault }),
  };
}
