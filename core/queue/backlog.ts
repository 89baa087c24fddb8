// What comes in at one end and goes out at the other, one by one, and is never asked for by name: an array
// whose gone beginning is cut off once it is the larger half.

export class Backlog<T> {
  #items: T[] = [];
  #gone = 0;

  get size(): number {
    return this.#items.length - this.#gone;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Takes the oldest item out. */
  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const oldest = this.#items[this.#gone++];
    if (this.#gone > this.size) {
      this.#items = this.#items.slice(this.#gone);
      this.#gone = 0;
    }
    return oldest;
  }

  /** Oldest first. */
  items(): readonly T[] {
    return this.#items.slice(this.#gone);
  }
}
