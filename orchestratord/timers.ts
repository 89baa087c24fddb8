// The timers the core has set. They come back as events; one that is set again moves.

import type { Clock, Timer } from "./clock.ts";

export class Timers {
  readonly #clock: Clock;
  readonly #fired: (timer: string) => void;
  readonly #set = new Map<string, Timer>();

  constructor(clock: Clock, fired: (timer: string) => void) {
    this.#clock = clock;
    this.#fired = fired;
  }

  set(timer: string, atMs: number): void {
    this.clear(timer);
    this.#set.set(
      timer,
      this.#clock.after(atMs - this.#clock.nowMs(), () => this.#ring(timer, atMs)),
    );
  }

  clear(timer: string): void {
    this.#set.get(timer)?.cancel();
    this.#set.delete(timer);
  }

  close(): void {
    for (const timer of this.#set.values()) timer.cancel();
    this.#set.clear();
  }

  /** The wait may have been cut into pieces, and a clock in whole milliseconds may be a little behind. */
  #ring(timer: string, atMs: number): void {
    if (this.#clock.nowMs() < atMs) return this.set(timer, atMs);
    this.#set.delete(timer);
    this.#fired(timer);
  }
}
