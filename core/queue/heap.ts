// A binary heap whose entries know their place, so that any of them can leave or move in O(log n).

import type { Queue, QueueHandle } from "./queue.ts";

interface Entry<T> extends QueueHandle<T> {
  index: number;
}

const gone = -1;

export class Heap<T> implements Queue<T> {
  readonly #entries: Entry<T>[] = [];
  readonly #before: (a: T, b: T) => boolean;

  /** `before` must be a strict total order over the items that are in the heap together. */
  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#entries.length;
  }

  push(item: T): QueueHandle<T> {
    const entry: Entry<T> = { item, index: this.#entries.length };
    this.#entries.push(entry);
    this.#rise(entry);
    return entry;
  }

  peek(): T | undefined {
    return this.#entries[0]?.item;
  }

  /** Takes the first item out. */
  pop(): T | undefined {
    const [first] = this.#entries;
    if (first !== undefined) this.remove(first);
    return first?.item;
  }

  remove(handle: QueueHandle<T>): boolean {
    const entry = handle as Entry<T>;
    if (this.#entries[entry.index] !== entry) return false;
    const last = this.#entries.pop() as Entry<T>;
    if (last !== entry) {
      this.#put(last, entry.index);
      this.#settle(last);
    }
    entry.index = gone;
    return true;
  }

  /** To be called when an item's rank has changed. */
  moved(handle: QueueHandle<T>): void {
    this.#settle(handle as Entry<T>);
  }

  *items(): Iterable<T> {
    const sorted = this.#entries.map((entry) => entry.item);
    sorted.sort((a, b) => (this.#before(a, b) ? -1 : 1));
    yield* sorted;
  }

  #settle(entry: Entry<T>): void {
    this.#rise(entry);
    this.#sink(entry);
  }

  #rise(entry: Entry<T>): void {
    let index = entry.index;
    while (index > 0) {
      const parent = this.#entries[(index - 1) >> 1] as Entry<T>;
      if (!this.#before(entry.item, parent.item)) break;
      const above = parent.index;
      this.#put(parent, index);
      index = above;
    }
    this.#put(entry, index);
  }

  #sink(entry: Entry<T>): void {
    let index = entry.index;
    for (;;) {
      const left = this.#entries[2 * index + 1];
      const right = this.#entries[2 * index + 2];
      if (left === undefined) break;
      const child = right !== undefined && this.#before(right.item, left.item) ? right : left;
      if (!this.#before(child.item, entry.item)) break;
      const below = child.index;
      this.#put(child, index);
      index = below;
    }
    this.#put(entry, index);
  }

  #put(entry: Entry<T>, index: number): void {
    this.#entries[index] = entry;
    entry.index = index;
  }
}
