// What whoever runs the engine processes tells the orchestrator about one of them. In one process it is a
// call, between machines a message; the words are the same.

import type { EngineKind } from "./words.ts";

/** The states of one engine process, as its supervisor knows them. */
export type ReplicaPhase =
  | "starting"
  | "loading"
  | "ready"
  | "backing_off"
  | "draining"
  | "failed"
  | "stopped";

/** Why a process that served serves no longer. */
export type ReplicaFault = "crash" | "hung" | "vram_oom" | "host_oom" | "driver_reset";

/** All that is known of a replica; each announcement replaces the last. */
export interface ReplicaAnnouncement {
  readonly poolId: string;
  readonly replicaId: string;
  readonly engine: EngineKind;
  readonly phase: ReplicaPhase;
  /** Grows with every new process. */
  readonly epoch: number;
  /** Where the process listens; absent while there is none. */
  readonly url?: string;
  readonly apiKey?: string;
  readonly pid?: number;
  /** sha256 of the model file it serves. */
  readonly modelDigest?: string;
  /** While it is not ready: when it is expected to be. */
  readonly readyInMs?: number;
  readonly lastError?: string;
  readonly fault?: ReplicaFault;
}
