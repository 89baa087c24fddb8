// How far the engines have come while `up` waits for them.

import type { Config, ReplicaAnnouncement } from "@llama-orch/contract";
import { Refusal } from "./failure.ts";
import type { UpWish } from "./up-command.ts";

/** Engines may take long to load; after this `up` says so. */
const readyMaxMs = 120_000;

/** What is known of the replicas. Everything serves once each one is ready or has failed for good. */
export class StartBoard {
  readonly #known = new Map<string, ReplicaAnnouncement>();
  readonly #pools: Config["pools"];
  readonly #serving = Promise.withResolvers<void>();
  #begun = false;

  constructor({ pools }: Config) {
    this.#pools = pools;
    // It may fail before anybody waits for it.
    this.#serving.promise.catch(() => undefined);
    if (pools.length === 0) this.#serving.resolve();
  }

  take(announcement: ReplicaAnnouncement, { onProgress }: UpWish): void {
    const name = `${announcement.poolId}/${announcement.replicaId}`;
    this.#known.set(name, announcement);
    if (this.#begun) return;
    onProgress(`Starting: ${name} is ${announcement.phase}`);
    for (const { id, replicas } of this.#pools) {
      const failed = this.#of(id, "failed");
      if (failed.length < replicas) continue;
      const reason = failed[0]?.lastError ?? "its engines gave no reason";
      this.#serving.reject(new Refusal(`Pool ${id} does not start: ${reason}`));
    }
    const settled = (poolId: string) => this.readyOf(poolId) + this.#of(poolId, "failed").length;
    if (this.#pools.every(({ id, replicas }) => settled(id) >= replicas)) this.#serving.resolve();
  }

  readyOf(poolId: string): number {
    return this.#of(poolId, "ready").length;
  }

  #of(poolId: string, phase: ReplicaAnnouncement["phase"]): ReplicaAnnouncement[] {
    return [...this.#known.values()].filter((each) => each.poolId === poolId && each.phase === phase);
  }

  async serving(signal: AbortSignal): Promise<void> {
    const given = Promise.withResolvers<never>();
    const abort = () => given.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    const late = new Refusal(
      `No engine was ready within ${readyMaxMs / 1000} s; see up.log in the data directory.`,
    );
    const timer = setTimeout(() => given.reject(late), readyMaxMs);
    try {
      if (signal.aborted) abort();
      await Promise.race([this.#serving.promise, given.promise]);
      this.#begun = true;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  }

  pids(): Record<string, number> {
    const pairs = [...this.#known].flatMap(([name, { pid }]) =>
      pid === undefined ? [] : [[name, pid] as const],
    );
    return Object.fromEntries(pairs);
  }
}
