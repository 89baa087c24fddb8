// One timer for everything that waits inside streams: heartbeats, stalled readers and comments held back. A
// timer per stream would cost ten thousand of them; here each member is looked at a few times a second. It
// stands still while it has no members.

import type { Clock, Timer } from "../clock.ts";

export interface Pulsing {
  /** Called at every beat; a member may leave, and others may join, during one. */
  beat(nowMs: number): void;
}

export class Pulse {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #members = new Set<Pulsing>();
  #timer: Timer | undefined;
  #nowMs: number;

  constructor({ clock, everyMs = 250 }: { readonly clock: Clock; readonly everyMs?: number }) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#nowMs = clock.nowMs();
  }

  /** The time of the last beat: exact enough for limits of seconds, and free. */
  get nowMs(): number {
    return this.#nowMs;
  }

  join(member: Pulsing): void {
    this.#members.add(member);
    if (this.#timer !== undefined) return;
    this.#nowMs = this.#clock.nowMs();
    this.#arm();
  }

  leave(member: Pulsing): void {
    this.#members.delete(member);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#members.clear();
  }

  #arm(): void {
    this.#timer = this.#clock.after(this.#everyMs, () => {
      this.#timer = undefined;
      this.#nowMs = this.#clock.nowMs();
      for (const member of this.#members) member.beat(this.#nowMs);
      if (this.#members.size > 0 && this.#timer === undefined) this.#arm();
    });
  }
}
