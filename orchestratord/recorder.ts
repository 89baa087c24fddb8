// Writes down what another process needs to go on and nobody waits for: where a task was sent, how far a
// strict stream has come, that it is read, what a replica is. A store that refuses has said so itself.

import { OrchError } from "@llama-orch/contract";
import type { Orchestrator, ReplicaFacts, SentTo, Settings } from "@llama-orch/core";
import type { Fact, Store } from "./store/store.ts";
import type { TaskRecord } from "./task-record.ts";

export interface RecorderOptions {
  readonly core: Orchestrator;
  readonly store: Store;
}

export class Recorder {
  readonly #options: RecorderOptions;
  /** By pool and replica, as it was written down last. */
  readonly #replicas = new Map<string, string>();

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  configured(settings: Settings, atMs: number): void {
    void this.#note({ fact: "configured", settings, atMs });
  }

  /** Whether it is safe now; false where the store refused it. */
  sent(jobId: string): Promise<boolean> {
    return this.#note({ fact: "sent", jobId, to: this.#options.core.sentTo(jobId) as SentTo });
  }

  /** Of a stream that makes up for what was lost only what goes beyond that is new. */
  progressed({ jobId, stream }: TaskRecord): void {
    const { frames, tokensOut, digest: streamDigest } = stream;
    if (frames < stream.promisedFrames) return;
    void this.#note({ fact: "progressed", jobId, frames, tokensOut, streamDigest });
  }

  read(record: TaskRecord): void {
    if (record.wasRead) return;
    record.wasRead = true;
    void this.#note({ fact: "read", jobId: record.jobId });
  }

  /** A process that is not up yet is taken for what it was. */
  replica(poolId: string, replicaId: string): void {
    const replica = this.#options.core.replicaFacts(poolId, replicaId);
    if (replica === undefined) return;
    const key = `${poolId}/${replicaId}`;
    const lasting = JSON.stringify(lastingOf(replica.facts));
    if (this.#replicas.get(key) === lasting) return;
    this.#replicas.set(key, lasting);
    void this.#note({ fact: "replica-seen", ...replica });
  }

  replicaGone(poolId: string, replicaId: string): void {
    this.#replicas.delete(`${poolId}/${replicaId}`);
    void this.#note({ fact: "replica-gone", poolId, replicaId });
  }

  async #note(fact: Fact): Promise<boolean> {
    try {
      await this.#options.store.commit([fact]);
      return true;
    } catch (error) {
      if (!(error instanceof OrchError)) throw error;
      return false;
    }
  }
}

/** What changes from one look to the next says nothing about what a replica is. */
function lastingOf({ vramFreeBytes: _free, slotsElsewhere: _taken, ...lasting }: ReplicaFacts) {
  return lasting;
}
