// The one inbox of the core. Whatever happens comes in here, gets its number and its time, is decided, and
// what was decided is performed before the next event is looked at. Nobody else calls `handle`.

import assert from "node:assert/strict";
import type { Effect, Event, Orchestrator } from "@llama-orch/core";
import type { Clock } from "./clock.ts";
import { type Decided, threwBy } from "./journal/format.ts";

type Without<E> = E extends Event ? Omit<E, "seq" | "nowMs"> : never;
/** An event before it has its number and its time. */
export type Happening = Without<Event>;

export interface LoopOptions {
  readonly core: Orchestrator;
  readonly clock: Clock;
  /** Performs effects in their order and never waits; what it has to wait for goes on by itself. */
  readonly perform: (effects: readonly Effect[], event: Event) => void;
  /** Hears of every event before anything is done about it, so that the cause of a bug in that is known. */
  readonly record?: (event: Event, decided: Decided) => void;
}

export class Loop {
  readonly #options: LoopOptions;
  readonly #inbox: Happening[] = [];
  #seq = 0;
  #busy = false;
  #closed = false;

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  /** Decides and performs at once; for whoever is told the outcome. Never from within a performance. */
  handle(happening: Happening): readonly Effect[] {
    assert(!this.#busy, `${happening.type} was handled while another event was; post it.`);
    try {
      return this.#take(happening);
    } finally {
      this.#drain();
    }
  }

  /** Takes its turn, at once where nothing else is going on. */
  post(happening: Happening): void {
    if (this.#closed) return;
    this.#inbox.push(happening);
    if (!this.#busy) this.#drain();
  }

  /** Nothing is decided any more; what still comes in is about a process that ends. */
  close(): void {
    this.#closed = true;
    this.#inbox.length = 0;
  }

  #drain(): void {
    for (let next = this.#inbox.shift(); next !== undefined; next = this.#inbox.shift()) this.#take(next);
  }

  #take(happening: Happening): readonly Effect[] {
    const { clock, perform, record } = this.#options;
    this.#busy = true;
    try {
      const event = { seq: ++this.#seq, nowMs: clock.nowMs(), ...happening } as Event;
      const effects = this.#decide(event);
      record?.(event, effects);
      perform(effects, event);
      return effects;
    } finally {
      this.#busy = false;
    }
  }

  #decide(event: Event): Effect[] {
    const { core, record } = this.#options;
    try {
      return core.handle(event);
    } catch (error) {
      record?.(event, threwBy(error));
      throw error;
    }
  }
}
