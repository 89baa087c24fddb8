// A map that knows which entry was set longest ago, so that bounded memory can let the right one go. A Map
// keeps that order itself, but looking for its first entry takes longer with every entry that was deleted
// there; one iterator that is kept passes each of them once.

export class Recent<T> {
  readonly #entries = new Map<string, T>();
  #walk = this.#entries.keys();
  /** The entry the walk has reached; undefined when it has to go on. */
  #front: string | undefined;

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): T | undefined {
    return this.#entries.get(key);
  }

  /** Puts an entry in, or makes it the latest. */
  set(key: string, value: T): void {
    this.delete(key);
    this.#entries.set(key, value);
  }

  delete(key: string): boolean {
    if (key === this.#front) this.#front = undefined;
    return this.#entries.delete(key);
  }

  oldest(): string | undefined {
    if (this.#front !== undefined || this.#entries.size === 0) return this.#front;
    let step = this.#walk.next();
    if (step.done) {
      this.#walk = this.#entries.keys();
      step = this.#walk.next();
    }
    this.#front = step.value;
    return this.#front;
  }

  /** Oldest first. */
  entries(): Iterable<[string, T]> {
    return this.#entries;
  }
}
