// How far the engines have come while `up` waits for them, and why it waits no longer. Pools whose engines
// are not started with `up` (external ones, and those that wait for a reload) are not waited for.

import type { Config, PoolList, ReplicaAnnouncement } from "@llama-orch/contract";
import { Refusal } from "./failure.ts";
import type { UpWish } from "./up-command.ts";

/** Engines may take long to load; after this `up` says so. */
const readyMaxDefaultMs = 120_000;
const lookAgainMs = 20;

/** What is known of the replicas. Everything serves once each one is ready or has failed for good. */
export class StartBoard {
  readonly #known = new Map<string, ReplicaAnnouncement>();
  readonly #pools: Config["pools"];
  readonly #readyMaxMs: number;
  readonly #settled = Promise.withResolvers<void>();
  #begun = false;

  constructor(pools: Config["pools"], readyMaxMs = readyMaxDefaultMs) {
    this.#pools = pools.filter(({ provisioning, preload }) => provisioning.mode !== "external" && preload);
    this.#readyMaxMs = readyMaxMs;
    // It may fail before anybody waits for it.
    this.#settled.promise.catch(() => undefined);
    if (this.#pools.length === 0) this.#settled.resolve();
  }

  take(announcement: ReplicaAnnouncement, { onProgress }: Pick<UpWish, "onProgress">): void {
    const name = nameOf(announcement);
    const { phase } = announcement;
    const isNews = phase !== this.#known.get(name)?.phase;
    this.#known.set(name, announcement);
    if (this.#begun) return;
    if (isNews) onProgress(`Starting: ${name} is ${phase}${reasonOf(announcement)}`);
    for (const { id, replicas } of this.#pools) {
      const failed = this.#of(id, "failed");
      if (failed.length < replicas) continue;
      const reason = failed[0]?.lastError ?? "its engines gave no reason";
      this.#settled.reject(new Refusal(`Pool ${id} does not start: ${reason}`));
    }
    const settled = (id: string) => this.#of(id, "ready").length + this.#of(id, "failed").length;
    if (this.#pools.every(({ id, replicas }) => settled(id) >= replicas)) this.#settled.resolve();
  }

  #of(poolId: string, phase: ReplicaAnnouncement["phase"]): ReplicaAnnouncement[] {
    return [...this.#known.values()].filter((each) => each.poolId === poolId && each.phase === phase);
  }

  /**
   * Resolves once the engines have come up and the orchestrator, which asks an engine what it serves before
   * it gives it work, has taken them in; `pools` is its view.
   * @throws Refusal that names what is missing, or the signal's reason
   */
  async serving(pools: () => PoolList, signal: AbortSignal): Promise<void> {
    const given = Promise.withResolvers<never>();
    // Only those who race with it hear of it.
    given.promise.catch(() => undefined);
    const abort = () => given.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    const timer = setTimeout(() => given.reject(this.#late()), this.#readyMaxMs);
    let look: NodeJS.Timeout | undefined;
    try {
      if (signal.aborted) abort();
      await Promise.race([this.#settled.promise, given.promise]);
      while (this.#isAhead(pools())) {
        const pause = new Promise<void>((resolve) => {
          look = setTimeout(resolve, lookAgainMs);
        });
        await Promise.race([pause, given.promise]);
      }
      this.#begun = true;
    } finally {
      clearTimeout(look);
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  }

  /** Whether engines are ready that the orchestrator does not use yet. */
  #isAhead({ pools }: PoolList): boolean {
    return pools.some(
      ({ pool_id, replicas }) =>
        replicas.filter(({ ready }) => ready).length < this.#of(pool_id, "ready").length,
    );
  }

  #late(): Refusal {
    const missing = [...this.#known.values()].filter(({ phase }) => phase !== "ready");
    const words = missing.map((each) => ` ${nameOf(each)} is ${each.phase}${reasonOf(each)}.`);
    const within = `within ${this.#readyMaxMs / 1000} s`;
    const says =
      words.length === 0 ? "The orchestrator has not taken its engines in" : "Engines are not ready";
    return new Refusal(`${says} ${within}; see up.log in the data directory.${words.join("")}`);
  }

  pids(): Record<string, number> {
    const pairs = [...this.#known].flatMap(([name, { pid }]) =>
      pid === undefined ? [] : [[name, pid] as const],
    );
    return Object.fromEntries(pairs);
  }
}

function nameOf({ poolId, replicaId }: ReplicaAnnouncement): string {
  return `${poolId}/${replicaId}`;
}

function reasonOf({ phase, lastError }: ReplicaAnnouncement): string {
  return phase === "ready" || lastError === undefined ? "" : `: ${lastError.replace(/\.$/, "")}`;
}
