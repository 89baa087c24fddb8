// What happened within the last so many milliseconds, as a sum and a count. Old entries leave when the window
// is looked at or grows, so nothing has to run in between.

interface Entry {
  readonly atMs: number;
  readonly value: number;
}

/** Beyond it the oldest entries go early; a window with so many says enough. */
const entriesMax = 10_000;

export class Window {
  readonly #lengthMs: number;
  readonly #nowMs: () => number;
  #entries: Entry[] = [];
  #first = 0;
  #sum = 0;

  constructor(lengthMs: number, nowMs: () => number) {
    this.#lengthMs = lengthMs;
    this.#nowMs = nowMs;
  }

  add(value: number): void {
    this.#entries.push({ atMs: this.#nowMs(), value });
    this.#sum += value;
    this.#shrink();
  }

  get count(): number {
    this.#shrink();
    return this.#entries.length - this.#first;
  }

  get sum(): number {
    return this.count === 0 ? 0 : this.#sum;
  }

  /** Null while the window is empty. */
  get mean(): number | null {
    return this.count === 0 ? null : this.sum / this.count;
  }

  /** Null while the window is empty. */
  percentile(share: number): number | null {
    if (this.count === 0) return null;
    const values = this.#entries.slice(this.#first).map(({ value }) => value);
    values.sort((a, b) => a - b);
    return values[Math.min(values.length - 1, Math.floor(share * values.length))] as number;
  }

  /** The share of values that are not above a bound; null while the window is empty. */
  shareUpTo(bound: number): number | null {
    const { count } = this;
    if (count === 0) return null;
    let within = 0;
    for (let at = this.#first; at < this.#entries.length; at++) {
      if ((this.#entries[at] as Entry).value <= bound) within++;
    }
    return within / count;
  }

  #shrink(): void {
    const oldestMs = this.#nowMs() - this.#lengthMs;
    for (let entry = this.#entries[this.#first]; entry !== undefined; entry = this.#entries[this.#first]) {
      if (entry.atMs > oldestMs && this.#entries.length - this.#first <= entriesMax) break;
      this.#sum -= entry.value;
      this.#first++;
    }
    if (this.#first < 1024 || this.#first * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#first = 0;
  }
}
