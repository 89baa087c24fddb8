// Who got how much of what was dispatched lately, by tenant and class: costs that fade, so that the last
// window counts most and nothing has to be kept of a single dispatch. It measures and decides nothing.

import type { Priority } from "@llama-orch/contract";

export interface AdmissionShare {
  readonly tenant: string;
  readonly priority: Priority;
  /** Of all that was dispatched, 0 to 1. */
  readonly share: number;
}

interface Faded {
  readonly tenant: string;
  readonly priority: Priority;
  cost: number;
  atMs: number;
}

/** Tenants and classes that are followed; the label's own budget is not larger. */
const followedMax = 512;

/** After so many windows three thousandths of a percent are left. */
const windowsUntilForgotten = 10;

export class AdmissionShares {
  readonly #windowMs: number;
  readonly #nowMs: () => number;
  readonly #byFlow = new Map<string, Faded>();
  /** Shares are as of this moment: until the next dispatch all fades alike, so they stay what they are. */
  #lastMs = 0;

  /** @param windowMs after which a cost counts for 1/e of itself */
  constructor(windowMs: number, nowMs: () => number) {
    this.#windowMs = windowMs;
    this.#nowMs = nowMs;
  }

  dispatched(tenant: string, priority: Priority, cost: number): void {
    const key = `${tenant} ${priority}`;
    const atMs = this.#nowMs();
    this.#lastMs = atMs;
    const known = this.#byFlow.get(key);
    if (known !== undefined) {
      known.cost = this.#left(known) + cost;
      known.atMs = atMs;
      return;
    }
    if (this.#byFlow.size >= followedMax) this.#forgetFaintest();
    this.#byFlow.set(key, { tenant, priority, cost, atMs });
  }

  /** Those that had any work lately. Anybody may name a tenant, so one that sends nothing any more goes. */
  now(): AdmissionShare[] {
    const oldestMs = this.#nowMs() - windowsUntilForgotten * this.#windowMs;
    for (const [key, { atMs }] of this.#byFlow) if (atMs < oldestMs) this.#byFlow.delete(key);
    const flows = [...this.#byFlow.values()];
    const all = flows.reduce((sum, flow) => sum + this.#left(flow), 0);
    return flows.map((flow) => {
      const { tenant, priority } = flow;
      return { tenant, priority, share: all === 0 ? 0 : this.#left(flow) / all };
    });
  }

  #left({ cost, atMs }: Faded): number {
    return cost * Math.exp((atMs - this.#lastMs) / this.#windowMs);
  }

  #forgetFaintest(): void {
    let faintest: string | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const [key, flow] of this.#byFlow) {
      const left = this.#left(flow);
      if (left >= least) continue;
      faintest = key;
      least = left;
    }
    if (faintest !== undefined) this.#byFlow.delete(faintest);
  }
}
