// The life of each replica in the log: a line when its state or its process changes, none while it stays.

import type { Orchestrator, ReplicaReported } from "@llama-orch/core";
import type { Level, Log } from "./log.ts";
import type { Narrator } from "./narration.ts";

export interface ReplicaLogOptions {
  readonly log: Log;
  readonly narrator: Narrator;
  readonly core: Orchestrator;
}

type Status = ReplicaReported["status"];

export class ReplicaLog {
  readonly #options: ReplicaLogOptions;
  /** What was said last, by pool and replica. */
  readonly #said = new Map<string, string>();

  constructor(options: ReplicaLogOptions) {
    this.#options = options;
  }

  reported({ poolId, replicaId, status, epoch, facts, lastError, reason }: ReplicaReported): void {
    const key = `${poolId}/${replicaId}`;
    const state = `${status} ${epoch}`;
    if (this.#said.get(key) === state) return;
    this.#said.set(key, state);
    const { log, narrator, core } = this.#options;
    const pool = core.state.pools.get(poolId);
    const [level, does] = pool?.draining && status === "ready" ? drained : words[status];
    const where = { pool_id: poolId, replica_id: replicaId };
    const human = narrator.tell({
      actor: key,
      action: status,
      target: "replica",
      human: `Replica ${key} ${does}.`,
      ...where,
    });
    log.write(level, `replica_${status}`, {
      human,
      ...where,
      ...(pool !== undefined && { engine: pool.settings.engine, model_id: pool.modelRef }),
      engine_version: facts.engineVersion,
      model_digest: facts.modelDigest,
      ...(lastError !== undefined && { last_error: lastError }),
      ...(reason !== undefined && { reason }),
    });
  }
}

const drained = ["info", "is ready, and its pool is drained"] as const;

const words = {
  starting: ["info", "starts"],
  loading: ["info", "loads its model"],
  ready: ["info", "takes work"],
  draining: ["info", "takes no more work"],
  backing_off: ["warn", "is away and will be tried again"],
  failed: ["error", "failed and is given up"],
  stopped: ["info", "is stopped"],
} as const satisfies Record<Status, readonly [Level, string]>;
