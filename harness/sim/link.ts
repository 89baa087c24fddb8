// The network between the orchestrator and one node. What belongs to a connection arrives in order, late, and
// after a partition; what is sent on its own may also be lost and may overtake.

import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

export interface LinkPlan {
  readonly delayMs: number;
  readonly jitterMs: number;
  readonly loss: number;
}

export class Link {
  readonly #clock: Clock;
  readonly #random: Random;
  plan: LinkPlan;
  #cut = false;
  readonly #held: (() => void)[] = [];
  readonly #lastMs = { there: 0, back: 0 };

  constructor(clock: Clock, random: Random, plan: LinkPlan) {
    this.#clock = clock;
    this.#random = random;
    this.plan = plan;
  }

  get cut(): boolean {
    return this.#cut;
  }

  /** In order, never lost; held while the link is cut. */
  send(direction: "there" | "back", act: () => void): void {
    const atMs = Math.max(this.#lastMs[direction], this.#clock.nowMs + this.#delayMs());
    this.#lastMs[direction] = atMs;
    this.#clock.at(atMs, () => {
      if (this.#cut) this.#held.push(act);
      else act();
    });
  }

  /** On its own: may be lost, may overtake. */
  cast(act: () => void): void {
    if (this.#random.chance(this.plan.loss)) return;
    this.#clock.after(this.#delayMs(), () => {
      if (!this.#cut) act();
    });
  }

  split(): void {
    this.#cut = true;
  }

  heal(): void {
    if (!this.#cut) return;
    this.#cut = false;
    for (const act of this.#held.splice(0)) act();
  }

  #delayMs(): number {
    return Math.round(this.plan.delayMs + this.plan.jitterMs * this.#random.next());
  }
}
