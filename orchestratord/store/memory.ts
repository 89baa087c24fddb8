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
  readonly endedMax?: number;
}

/** Beyond it the longest ended go first, and so do the answers. */
const endedMaxDefault = 100_000;

interface Answered extends Remembered {
  readonly tenantId: string;
  readonly taskId: string;
}

interface EndedAnswer extends Answered {
  readonly endedAtMs: number;
}

export class MemoryStore implements Store {
  readonly #options: MemoryStoreOptions;
  readonly #bodies = new Map<string, TaskBody>();
  /** By tenant and task, longest ended first. */
  readonly #ended = new Map<string, EndedTask>();
  /** By tenant and task: of live ones, and of ended ones, longest ended first. */
  readonly #liveAnswers = new Map<string, Answered>();
  readonly #endedAnswers = new Map<string, EndedAnswer>();
  /** By task: who used the name last. */
  readonly #tenants = new Map<string, string>();

  constructor(options: MemoryStoreOptions) {
    this.#options = options;
  }

  async commit(facts: readonly Fact[]): Promise<void> {
    for (const fact of facts) this.#keep(fact);
  }

  async body(jobId: string): Promise<TaskBody | undefined> {
    return this.#bodies.get(jobId);
  }

  async remembered(tenantId: string | undefined, taskId: string): Promise<Remembered | undefined> {
    this.#forgetOld();
    return this.#meant(tenantId, taskId, (key) => this.#liveAnswers.get(key) ?? this.#endedAnswers.get(key));
  }

  async transcript(tenantId: string | undefined, taskId: string): Promise<EndedTask | undefined> {
    this.#forgetOld();
    return this.#meant(tenantId, taskId, (key) => this.#ended.get(key));
  }

  async close(): Promise<void> {
    for (const kept of [this.#bodies, this.#ended, this.#liveAnswers, this.#endedAnswers]) kept.clear();
    this.#tenants.clear();
  }

  #meant<T>(tenantId: string | undefined, taskId: string, find: (key: string) => T | undefined) {
    if (tenantId !== undefined) return find(keyOf(tenantId, taskId));
    return find(keyOf("default", taskId)) ?? find(keyOf(this.#tenants.get(taskId) ?? "", taskId));
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
    this.#endedAnswers.delete(key);
    this.#liveAnswers.set(key, { tenantId, taskId, fingerprint, answer });
    this.#tenants.set(taskId, tenantId);
  }

  #ends(ended: Ended): void {
    const key = keyOf(ended.tenantId, ended.taskId);
    this.#bodies.delete(ended.jobId);
    this.#ended.delete(key);
    this.#ended.set(key, ended);
    const answered = this.#liveAnswers.get(key) ?? this.#endedAnswers.get(key);
    if (answered?.answer.jobId === ended.jobId) {
      this.#liveAnswers.delete(key);
      this.#endedAnswers.delete(key);
      this.#endedAnswers.set(key, { ...answered, endedAtMs: ended.atMs });
    }
    this.#forgetOld();
  }

  #forgetOld(): void {
    const { nowMs, keepEndedMs, rememberMs, endedMax = endedMaxDefault } = this.#options;
    const now = nowMs();
    for (const [key, { atMs }] of this.#ended) {
      if (now - atMs <= keepEndedMs && this.#ended.size <= endedMax) break;
      this.#ended.delete(key);
    }
    for (const [key, { endedAtMs, tenantId, taskId }] of this.#endedAnswers) {
      if (now - endedAtMs <= rememberMs && this.#endedAnswers.size <= endedMax) break;
      this.#endedAnswers.delete(key);
      if (this.#tenants.get(taskId) === tenantId) this.#tenants.delete(taskId);
    }
  }
}

const keyOf = (tenantId: string, taskId: string): string => `${tenantId} ${taskId}`;
