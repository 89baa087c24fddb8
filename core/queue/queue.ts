// The port of an order of waiting items, and what an item must tell about itself to be ordered.

export interface Ordered {
  /** Arrival order over the whole core: smaller came first, no two are equal. */
  readonly ordinal: number;
  readonly deadlineAtMs: number;
}

/**
 * An order in which items leave. `push` hands out a handle that is good until its item has left; `remove`
 * with a handle that is no longer good answers false and changes nothing. Every operation is O(log n) or
 * better, except walking through all items.
 */
export interface Queue<T> {
  readonly size: number;
  push(item: T): QueueHandle<T>;
  peek(): T | undefined;
  remove(handle: QueueHandle<T>): boolean;
  /** In leaving order. */
  items(): Iterable<T>;
}

export interface QueueHandle<T> {
  readonly item: T;
}
