// A set of few, in the order in which they came: what runs in the slots of one engine. Going through a short
// array is quicker than hashing.

export class Few<T> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  has(item: T): boolean {
    return this.#items.includes(item);
  }

  add(item: T): void {
    this.#items.push(item);
  }

  delete(item: T): void {
    const items = this.#items;
    const found = items.indexOf(item);
    if (found < 0) return;
    for (let at = found + 1; at < items.length; at++) items[at - 1] = items[at] as T;
    items.pop();
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#items.values();
  }
}
