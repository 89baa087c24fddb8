// A store whose owner hears when it can write no more, and when it can again: then admission stops and goes
// on. Every refusal leaves here as the one error that clients know. Nothing is kept or tried again here.

import { AssertionError } from "node:assert/strict";
import type { Clock, Timer } from "../clock.ts";
import { isStorageRefusal, storageRefusal } from "./refusal.ts";
import type { Fact, Store } from "./store.ts";

export interface WatchedStoreOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Once per outage, and once when it is over. */
  readonly onFull: (full: boolean) => void;
}

/** While nothing is admitted nobody else would find out that there is room again. */
const askAgainMs = 1000;

export class WatchedStore implements Store {
  readonly #options: WatchedStoreOptions;
  #isFull = false;
  #closed = false;
  #asking: Timer | undefined;

  constructor(options: WatchedStoreOptions) {
    this.#options = options;
  }

  recover() {
    return this.#options.store.recover();
  }

  async commit(facts: readonly Fact[]): Promise<void> {
    try {
      await this.#options.store.commit(facts);
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      this.#learn(true);
      if (isStorageRefusal(error)) throw error;
      throw storageRefusal(error instanceof Error ? error.message : String(error), error);
    }
    // What ends or changes something may be kept while nothing new can be.
    if (facts.length === 0 || facts.some(({ fact }) => fact === "admitted")) this.#learn(false);
  }

  body(jobId: string) {
    return this.#options.store.body(jobId);
  }

  remembered(tenantId: string | undefined, taskId: string) {
    return this.#options.store.remembered(tenantId, taskId);
  }

  transcript(tenantId: string | undefined, taskId: string) {
    return this.#options.store.transcript(tenantId, taskId);
  }

  past(limit: number) {
    return this.#options.store.past(limit);
  }

  sweep(nowMs: number) {
    return this.#options.store.sweep(nowMs);
  }

  async makeRoom(): Promise<void> {
    await this.#options.store.makeRoom();
    this.#learn(true);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#asking?.cancel();
    await this.#options.store.close();
  }

  #learn(isFull: boolean): void {
    if (this.#closed || this.#isFull === isFull) return;
    this.#isFull = isFull;
    this.#options.onFull(isFull);
    if (isFull) this.#askLater();
    else this.#asking?.cancel();
  }

  #askLater(): void {
    this.#asking = this.#options.clock.after(askAgainMs, () => void this.#ask());
  }

  async #ask(): Promise<void> {
    try {
      await this.commit([]);
    } catch (error) {
      // Whoever had something to keep was told; this only asked whether it could be kept now.
      if (error instanceof AssertionError) throw error;
      if (!this.#closed) this.#askLater();
    }
  }
}
