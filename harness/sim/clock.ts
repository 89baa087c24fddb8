// The one clock of a simulated world and everything that is going to happen in it, in one queue: by time, and
// at the same time in the order in which it was planned.

export interface Planned {
  readonly atMs: number;
  readonly order: number;
  act: (() => void) | undefined;
}

export class Clock {
  nowMs = 0;
  #order = 0;
  #steps = 0;
  readonly #heap: Planned[] = [];

  get steps(): number {
    return this.#steps;
  }

  after(ms: number, act: () => void): Planned {
    return this.at(this.nowMs + Math.max(0, Math.round(ms)), act);
  }

  at(atMs: number, act: () => void): Planned {
    const planned = { atMs: Math.max(this.nowMs, Math.ceil(atMs)), order: this.#order++, act };
    this.#heap.push(planned);
    this.#rise(this.#heap.length - 1);
    return planned;
  }

  cancel(planned: Planned | undefined): void {
    if (planned !== undefined) planned.act = undefined;
  }

  /** Lets everything happen that is planned up to a time. */
  runUntil(untilMs: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= untilMs; next = this.#heap[0]) {
      this.#pop();
      if (next.act === undefined) continue;
      this.nowMs = next.atMs;
      this.#steps++;
      next.act();
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  #pop(): void {
    const last = this.#heap.pop() as Planned;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink(0);
  }

  #rise(from: number): void {
    const heap = this.#heap;
    const item = heap[from] as Planned;
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(item, heap[above] as Planned)) break;
      heap[at] = heap[above] as Planned;
      at = above;
    }
    heap[at] = item;
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const item = heap[from] as Planned;
    let at = from;
    for (;;) {
      let below = 2 * at + 1;
      const right = heap[below + 1];
      if (right !== undefined && isBefore(right, heap[below] as Planned)) below++;
      const child = heap[below];
      if (child === undefined || !isBefore(child, item)) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = item;
  }
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.atMs !== b.atMs ? a.atMs < b.atMs : a.order < b.order;
}
