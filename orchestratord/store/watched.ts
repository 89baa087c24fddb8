// A store whose owner hears when it can write no more, and when it can again: then admission stops and goes
// on. Every refusal leaves here as the one error that clients know. What has to be kept in the end, such as
// how a task ended, is tried again from here until it is; nothing new is admitted before.

import { AssertionError } from "node:assert/strict";
import type { Clock, Timer } from "../clock.ts";
import { isStorageRefusal, storageRefusal } from "./refusal.ts";
import type { Fact, Store } from "./store.ts";

export interface WatchedStoreOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Once per outage, with the reason, and once when it is over. */
  readonly onFull: (full: boolean, reason: string) => void;
}

/** While nothing is admitted nobody else would find out that there is room again. */
const askAgainMs = 1000;

type Attempt = () => Promise<void>;

export class WatchedStore implements Store {
  readonly #options: WatchedStoreOptions;
  /** By name: what was refused and has to be kept. */
  readonly #owed = new Map<string, Attempt>();
  #isFull = false;
  #closed = false;
  #timer: Timer | undefined;
  #asking: Promise<void> | undefined;

  constructor(options: WatchedStoreOptions) {
    this.#options = options;
  }

  /** Nothing is admitted. */
  get isFull(): boolean {
    return this.#isFull;
  }

  recover() {
    return this.#options.store.recover();
  }

  async commit(facts: readonly Fact[]): Promise<void> {
    try {
      await this.#options.store.commit(facts);
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      const refusal = isStorageRefusal(error) ? error : storageRefusal(textOf(error), error);
      this.#learn(true, refusal.message);
      throw refusal;
    }
    // What ends or changes something may be kept while nothing new can be.
    if (this.#owed.size > 0) return;
    if (facts.length === 0 || facts.some(({ fact }) => fact === "admitted")) this.#learn(false);
  }

  /**
   * Resolves when the attempt has succeeded. One that storage refuses is made again, once a second and until
   * it succeeds or `giveUp`, also after this has rejected with the first refusal.
   *
   * @param name a later attempt of the same name stands in for an earlier one that is still owed
   */
  async insist(name: string, attempt: Attempt): Promise<void> {
    this.#owed.delete(name);
    try {
      await attempt();
    } catch (error) {
      if (isStorageRefusal(error) && !this.#closed) {
        this.#owed.set(name, attempt);
        this.#learn(true, error.message);
      }
      throw error;
    }
  }

  /** What is still owed stays so. Resolves when nothing of it is being tried any more. */
  async giveUp(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#owed.clear();
    await this.#asking;
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

  makeRoom(): boolean {
    const wasHeld = this.#options.store.makeRoom();
    if (wasHeld) this.#learn(true, "Its disk is full, and the reserve was needed. Make room on it.");
    return wasHeld;
  }

  async close(): Promise<void> {
    await this.giveUp();
    await this.#options.store.close();
  }

  #learn(isFull: boolean, reason = ""): void {
    if (this.#closed || this.#isFull === isFull) return;
    this.#isFull = isFull;
    this.#options.onFull(isFull, reason);
    if (isFull) this.#askLater();
    else this.#timer?.cancel();
  }

  #askLater(): void {
    this.#timer = this.#options.clock.after(askAgainMs, () => {
      this.#asking = this.#ask();
    });
  }

  async #ask(): Promise<void> {
    await Promise.all([...this.#owed].map(([name, attempt]) => this.#tryAgain(name, attempt)));
    try {
      // What is owed goes before what is new.
      if (this.#owed.size === 0 && !this.#closed) await this.commit([]);
    } catch (error) {
      // Whoever had something to keep was told; this only asked whether it could be kept now.
      if (error instanceof AssertionError) throw error;
    }
    if (this.#isFull && !this.#closed) this.#askLater();
  }

  async #tryAgain(name: string, attempt: Attempt): Promise<void> {
    try {
      await attempt();
      if (this.#owed.get(name) === attempt) this.#owed.delete(name);
    } catch (error) {
      if (!isStorageRefusal(error)) throw error;
    }
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
