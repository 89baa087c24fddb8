// Deadlines of waiting items, earliest first. An item that left is not searched for: it is passed over when
// its turn comes, and swept when such items have become the majority. That makes leaving free, and nearly all
// items leave before their deadline.

import { earlierDeadline } from "./edf.ts";
import type { Ordered } from "./queue.ts";

export interface Watched extends Ordered {
  /** Whether it is in the heap; kept by the heap alone. */
  watched: boolean;
}

const sweepMin = 64;

export class Deadlines<T extends Watched> {
  #heap: T[] = [];
  #left = 0;
  readonly #waits: (item: T) => boolean;

  /** @param waits whether an item still waits */
  constructor(waits: (item: T) => boolean) {
    this.#waits = waits;
  }

  add(item: T): void {
    if (item.watched) {
      this.#left--;
      return;
    }
    item.watched = true;
    this.#heap.push(item);
    this.#rise(this.#heap.length - 1);
  }

  /** To be called after an item has stopped waiting. */
  leave(): void {
    this.#left++;
    if (this.#left > sweepMin && this.#left > this.#heap.length / 2) this.#sweep();
  }

  /** No waiting item has an earlier one; Infinity where there is none. */
  earliestMs(): number {
    return this.#heap[0]?.deadlineAtMs ?? Infinity;
  }

  /** The waiting item with the earliest one. */
  first(): T | undefined {
    for (let item = this.#heap[0]; item !== undefined; item = this.#heap[0]) {
      if (this.#waits(item)) return item;
      this.#drop();
    }
    return undefined;
  }

  #drop(): void {
    const last = this.#heap.pop() as T;
    const first = this.#heap[0] ?? last;
    first.watched = false;
    this.#left--;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink(0);
  }

  #sweep(): void {
    const kept: T[] = [];
    for (const item of this.#heap) {
      if (this.#waits(item)) kept.push(item);
      else item.watched = false;
    }
    this.#heap = kept;
    this.#left = 0;
    for (let at = (kept.length >> 1) - 1; at >= 0; at--) this.#sink(at);
  }

  #rise(from: number): void {
    const heap = this.#heap;
    const item = heap[from] as T;
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!earlierDeadline(item, heap[above] as T)) break;
      heap[at] = heap[above] as T;
      at = above;
    }
    heap[at] = item;
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const item = heap[from] as T;
    let at = from;
    for (;;) {
      let below = 2 * at + 1;
      const right = heap[below + 1];
      if (right !== undefined && earlierDeadline(right, heap[below] as T)) below++;
      const child = heap[below];
      if (child === undefined || !earlierDeadline(child, item)) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = item;
  }
}
