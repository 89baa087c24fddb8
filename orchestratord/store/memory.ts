// A store that lives as long as its process. Everything is safe at once, since nothing survives anyway.

import type { TaskBody } from "@llama-orch/contract";
import type { Remembered } from "@llama-orch/core";
import type { Admitted, Ended, EndedTask, Fact, Store } from "./store.ts";

export interface MemoryStoreOptions {
  readonly nowMs: () => number;
  /** How long an ended task's transcript can be found by the task's name. */
  readonly keepEndedMs: number;
  /** How long after its end a task's first answer is given again. */
  readonly rememberMs: number;
}

/** Beyond it the longest ended go first, and so do the answers. */
const endedMax = 100_000;

interface Answered extends Remembered {
  /** Absent while the task is live. */
  endedAtMs?: number;
}

export class MemoryStore implements Store {
  readonly #options: MemoryStoreOptions;
  readonly #bodies = new Map<string, TaskBody>();
  /** By tenant and task, longest ended first. */
  readonly #ended = new Map<string, EndedTask>();
  /** By tenant and task; those that have ended stand in the order of their ends, behind one another. */
  readonly #answers = new Map<string, Answered>();

  constructor(options: MemoryStoreOptions) {
    this.#options = options;
  }

  async commit(facts: readonly Fact[]): Promise<void> {
    for (const fact of facts) this.#keep(fact);
  }

  async body(jobId: string): Promise<TaskBody | undefined> {
    return this.#bodies.get(jobId);
  }

  async remembered(tenantId: string, taskId: string): Promise<Remembered | undefined> {
    const answered = this.#answers.get(keyOf(tenantId, taskId));
    return answered === undefined || this.#isForgotten(answered) ? undefined : answered;
  }

  async transcript(tenantId: string, taskId: string): Promise<EndedTask | undefined> {
    this.#forgetOld();
    return this.#ended.get(keyOf(tenantId, taskId));
  }

  async close(): Promise<void> {
    this.#bodies.clear();
    this.#ended.clear();
    this.#answers.clear();
  }

  #keep(fact: Fact): void {
    if (fact.fact === "admitted") this.#admitted(fact);
    else if (fact.fact === "ended") this.#ends(fact);
  }

  #admitted({ jobId, tenantId, taskId, body, fingerprint, answer }: Admitted): void {
    const key = keyOf(tenantId, taskId);
    this.#bodies.set(jobId, body);
    // A name that is used again stands for its newest task.
    this.#ended.delete(key);
    this.#answers.delete(key);
    this.#answers.set(key, { fingerprint, answer });
  }

  #ends(ended: Ended): void {
    const key = keyOf(ended.tenantId, ended.taskId);
    this.#bodies.delete(ended.jobId);
    this.#ended.delete(key);
    this.#ended.set(key, ended);
    const answered = this.#answers.get(key);
    if (answered?.answer.jobId === ended.jobId) {
      this.#answers.delete(key);
      this.#answers.set(key, { ...answered, endedAtMs: ended.atMs });
    }
    this.#forgetOld();
  }

  #isForgotten({ endedAtMs }: Answered): boolean {
    return endedAtMs !== undefined && this.#options.nowMs() - endedAtMs > this.#options.rememberMs;
  }

  #forgetOld(): void {
    const oldestMs = this.#options.nowMs() - this.#options.keepEndedMs;
    for (const [key, { atMs }] of this.#ended) {
      if (atMs >= oldestMs && this.#ended.size <= endedMax) break;
      this.#ended.delete(key);
    }
    for (const [key, answered] of this.#answers) {
      if (answered.endedAtMs === undefined) continue;
      if (!this.#isForgotten(answered) && this.#answers.size <= endedMax) break;
      this.#answers.delete(key);
    }
  }
}

const keyOf = (tenantId: string, taskId: string): string => `${tenantId} ${taskId}`;
