// The law of the fair queue, measured from outside: over any time in which two flows both have work waiting,
// what they were charged, each by its weight, differs by at most one largest task of each.

import type { Effect, Event, Orchestrator } from "@llama-orch/core";

interface Flow {
  readonly setId: string;
  readonly rank: number;
  readonly weight: number;
  waiting: number;
  /** Charged cost ÷ weight since ever, and the largest single charge. */
  served: number;
  largest: number;
}

/** Of two flows while both wait: how far their difference has ranged. */
interface Pair {
  readonly a: Flow;
  readonly b: Flow;
  least: number;
  most: number;
}

const noise = 1e-6;

export class Fairness {
  readonly #flows = new Map<string, Flow>();
  readonly #pairs = new Map<string, Pair>();
  readonly #flowOf = new Map<string, { key: string; cost: number }>();
  /** The widest range that was seen, as a share of what is allowed. */
  worst = 0;

  /** Other weights begin another interval. */
  before(event: Event): void {
    if (event.type === "Configured") this.#pairs.clear();
  }

  after(effects: readonly Effect[], core: Orchestrator): void {
    for (const effect of effects) {
      if (effect.type === "AcceptTask") this.#enter(effect.jobId, core);
      else if (effect.type === "DispatchAttempt") this.#leave(effect.jobId, true);
      else if (effect.type === "EndTask") this.#leave(effect.jobId, false);
    }
  }

  #enter(jobId: string, core: Orchestrator): void {
    const live = core.state.jobs.get(jobId);
    if (live === undefined) return;
    const pool = core.state.pools.get(live.poolId)?.settings;
    if (pool === undefined) return;
    const key = `${live.setId} ${live.tenantId} ${live.priority}`;
    const rank = pool.strictClasses && live.priority === "batch" ? 1 : 0;
    const weight = pool.classes[live.priority].weight * (pool.tenants[live.tenantId]?.weight ?? 1);
    const fresh: Flow = { setId: live.setId, rank, weight, waiting: 0, served: 0, largest: 0 };
    const flow = this.#flows.get(key) ?? fresh;
    this.#flows.set(key, flow);
    this.#flowOf.set(jobId, { key, cost: live.cost });
    flow.waiting++;
    flow.largest = Math.max(flow.largest, live.cost / weight);
    if (flow.waiting === 1) this.#backlogged(key, flow);
  }

  #backlogged(key: string, flow: Flow): void {
    for (const [other, rival] of this.#flows) {
      if (rival === flow || rival.waiting === 0) continue;
      if (rival.setId !== flow.setId || rival.rank !== flow.rank) continue;
      const lead = flow.served - rival.served;
      this.#pairs.set([key, other].sort().join(" | "), { a: flow, b: rival, least: lead, most: lead });
    }
  }

  #leave(jobId: string, served: boolean): void {
    const found = this.#flowOf.get(jobId);
    const flow = this.#flows.get(found?.key ?? "");
    if (found === undefined || flow === undefined) return;
    this.#flowOf.delete(jobId);
    if (served) {
      flow.served += found.cost / flow.weight;
      for (const pair of this.#pairs.values()) if (pair.a === flow || pair.b === flow) this.#check(pair);
    }
    flow.waiting--;
    if (flow.waiting > 0) return;
    for (const [key, { a, b }] of this.#pairs) if (a === flow || b === flow) this.#pairs.delete(key);
  }

  #check(pair: Pair): void {
    const { a, b } = pair;
    const lead = a.served - b.served;
    pair.least = Math.min(pair.least, lead);
    pair.most = Math.max(pair.most, lead);
    const range = pair.most - pair.least;
    const bound = a.largest + b.largest;
    this.worst = Math.max(this.worst, range / bound);
    if (range > bound + noise) {
      throw new Error(
        `Two flows of ${a.setId} drift apart by ${range.toFixed(1)}, allowed ${bound.toFixed(1)}.`,
      );
    }
  }
}
