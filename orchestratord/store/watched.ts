// A store whose owner hears when it can write no more, and when it can again: then admission stops and goes
// on. Every refusal leaves here as the one error that clients know. Nothing is kept or tried again here.

import { AssertionError } from "node:assert/strict";
import { OrchError } from "@llama-orch/contract";
import type { Clock, Timer } from "../clock.ts";
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

  async commit(facts: readonly Fact[]): Promise<void> {
    try {
      await this.#options.store.commit(facts);
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      this.#learn(true);
      throw isStorage(error) ? error : unwritable(error);
    }
    this.#learn(false);
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

const isStorage = (error: unknown): boolean =>
  error instanceof OrchError && error.code === "POOL_UNAVAILABLE" && error.details.policy_label === "storage";

function unwritable(cause: unknown): OrchError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `The store cannot be written (${reason}). Make room on its disk, then send this again.`;
  return new OrchError("POOL_UNAVAILABLE", message, { policy_label: "storage", retry_after_ms: 30_000 });
}
