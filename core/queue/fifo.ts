// First in, first out: a linked list, so that anything may leave from the middle in constant time. A record
// that is a link itself may join as it is; it is in one list at a time.

import type { Queue, QueueHandle } from "./queue.ts";

export interface Link<T> extends QueueHandle<T> {
  previous: Link<T> | undefined;
  next: Link<T> | undefined;
  /** Undefined while it is in none. */
  list: Fifo<T> | undefined;
}

export class Fifo<T> implements Queue<T> {
  #first: Link<T> | undefined;
  #last: Link<T> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(item: T): QueueHandle<T> {
    const link: Link<T> = { item, previous: undefined, next: undefined, list: undefined };
    this.join(link);
    return link;
  }

  join(link: Link<T>): void {
    link.previous = this.#last;
    link.next = undefined;
    link.list = this;
    if (this.#last === undefined) this.#first = link;
    else this.#last.next = link;
    this.#last = link;
    this.#size++;
  }

  peek(): T | undefined {
    return this.#first?.item;
  }

  /** Takes the first item out. */
  shift(): T | undefined {
    const first = this.#first;
    if (first !== undefined) this.remove(first);
    return first?.item;
  }

  remove(handle: QueueHandle<T>): boolean {
    const link = handle as Link<T>;
    if (link.list !== this) return false;
    if (link.previous === undefined) this.#first = link.next;
    else link.previous.next = link.next;
    if (link.next === undefined) this.#last = link.previous;
    else link.next.previous = link.previous;
    link.list = undefined;
    this.#size--;
    return true;
  }

  *items(): Iterable<T> {
    for (let link = this.#first; link !== undefined; link = link.next) yield link.item;
  }

  *newestFirst(): Iterable<T> {
    for (let link = this.#last; link !== undefined; link = link.previous) yield link.item;
  }
}
