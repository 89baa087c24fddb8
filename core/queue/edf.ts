// Earliest deadline first; equal deadlines leave in arrival order.

import { Heap } from "./heap.ts";
import type { Ordered } from "./queue.ts";

export function earlierDeadline(a: Ordered, b: Ordered): boolean {
  return a.deadlineAtMs !== b.deadlineAtMs ? a.deadlineAtMs < b.deadlineAtMs : a.ordinal < b.ordinal;
}

export function edf<T extends Ordered>(): Heap<T> {
  return new Heap<T>(earlierDeadline);
}
