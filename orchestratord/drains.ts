// Which pools are drained, written down for the next start. Whoever asks for a drain or its end is answered
// when that is safe; where the store refuses it is written down in the end all the same, since the pool acts
// on it already.

import type { Orchestrator } from "@llama-orch/core";
import type { WatchedStore } from "./store/watched.ts";

export interface DrainsOptions {
  readonly core: Orchestrator;
  readonly store: WatchedStore;
}

export class Drains {
  readonly #options: DrainsOptions;
  readonly #recorded = new Map<string, Promise<void>>();

  constructor(options: DrainsOptions) {
    this.#options = options;
  }

  /** How it stands with the pool, at each try anew. Whoever has to wait for it asks `recorded`. */
  record(poolId: string): void {
    const recorded = this.#options.store.insist(`drain of ${poolId}`, () => this.#write(poolId));
    this.#recorded.set(poolId, recorded);
    recorded.catch(() => {
      // Whoever waits for it hears of it; the pool goes on either way.
    });
  }

  /**
   * Resolves when what was recorded of the pool last is safe.
   * @throws OrchError POOL_UNAVAILABLE (storage) when that is not possible now
   */
  async recorded(poolId: string): Promise<void> {
    await this.#recorded.get(poolId);
  }

  /** A drain for a reload ends with that, and after a restart nobody goes on with it. */
  #write(poolId: string): Promise<void> {
    const { core, store } = this.#options;
    const { draining, reload } = core.state.pools.get(poolId) ?? {};
    const isReloads = reload !== undefined && !reload.wasDraining && !reload.drainAsked;
    if (draining === undefined || isReloads) return store.commit([{ fact: "undrained", poolId }]);
    const { sinceMs, deadlineAtMs } = draining;
    return store.commit([{ fact: "drained", poolId, sinceMs, deadlineAtMs }]);
  }
}
