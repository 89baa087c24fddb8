// Who decodes where. A slot is taken by one attempt at a time; attempts beyond the slots wait in order, up to
// a limit. Slots know nothing of what is decoded in them.

import type { LlamaContextSequence } from "node-llama-cpp";
import { Refusal } from "./refusal.ts";

export interface Slot {
  readonly id: number;
  readonly sequence: LlamaContextSequence;
  /** The attempt that holds it, or the last one; written by whoever holds the slot. */
  attempt: number;
  promptTokens: number;
  cachedTokens: number;
  tokensPredicted: number;
  tokensLeft: number;
}

export interface SlotWish {
  /** -1 takes any. */
  readonly id: number;
  /** The prompt whose beginning is worth finding again; absent when caches are not to be used. */
  readonly prefix?: readonly number[];
}

interface Waiting {
  readonly wish: SlotWish;
  readonly take: (slot: Slot) => void;
}

const waitingMax = 256;

export class Slots {
  readonly all: readonly Slot[];
  #free: Slot[];
  #waiting: Waiting[] = [];

  constructor(sequences: readonly LlamaContextSequence[]) {
    const nothing = { attempt: -1, promptTokens: 0, cachedTokens: 0, tokensPredicted: 0, tokensLeft: 0 };
    this.all = sequences.map((sequence, id) => ({ id, sequence, ...nothing }));
    this.#free = [...this.all];
  }

  get busy(): number {
    return this.all.length - this.#free.length;
  }

  get deferred(): number {
    return this.#waiting.length;
  }

  isBusy(slot: Slot): boolean {
    return !this.#free.includes(slot);
  }

  /** Resolves once a slot is the caller's, who has to `give` it back. Rejects when the signal comes first. */
  take(wish: SlotWish, signal: AbortSignal): Promise<Slot> {
    // A signal that has gone off says nothing more to those who listen later.
    if (signal.aborted) return Promise.reject(signal.reason);
    const slot = this.#choose(wish);
    if (slot !== undefined) return Promise.resolve(slot);
    if (this.#waiting.length >= waitingMax) return Promise.reject(noSlot());
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        wish,
        take: (taken) => {
          signal.removeEventListener("abort", leave);
          resolve(taken);
        },
      };
      const leave = () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiting);
        reject(signal.reason);
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.push(waiting);
    });
  }

  give(slot: Slot): void {
    this.#free.push(slot);
    for (const waiting of this.#waiting) {
      const chosen = this.#choose(waiting.wish);
      if (chosen === undefined) continue;
      this.#waiting = this.#waiting.filter((other) => other !== waiting);
      waiting.take(chosen);
      return;
    }
  }

  /** The one that was wished for, else the longest known beginning, else the one that rested longest. */
  #choose({ id, prefix }: SlotWish): Slot | undefined {
    let best = 0;
    if (id >= 0) {
      best = this.#free.findIndex((slot) => slot.id === id % this.all.length);
    } else if (prefix !== undefined) {
      const lengths = this.#free.map((slot) => commonLength(slot.sequence.contextTokens, prefix));
      best = lengths.indexOf(Math.max(...lengths));
    }
    return best === -1 ? undefined : this.#free.splice(best, 1)[0];
  }
}

export function noSlot(): Refusal {
  return new Refusal("unavailable_error", "no slot available");
}

function commonLength(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}
