// What a task that waits has to tell its readers: on change, and at most once a second. What comes in between
// replaces what was held back.

import { type WaitingComment, waitingText } from "@llama-orch/contract";
import type { Clock } from "../clock.ts";
import type { Pulse, Pulsing } from "./pulse.ts";

const everyMs = 1000;

export class WaitingNews implements Pulsing {
  readonly #o: { readonly clock: Clock; readonly pulse: Pulse; readonly send: (text: string) => void };
  #latest: string | undefined;
  #sentAtMs: number = Number.NEGATIVE_INFINITY;

  constructor(o: { readonly clock: Clock; readonly pulse: Pulse; readonly send: (text: string) => void }) {
    this.#o = o;
  }

  /** What a reader that comes now has to know. */
  get latest(): string | undefined {
    return this.#latest;
  }

  tell(comment: WaitingComment): void {
    const text = waitingText(comment);
    if (text === this.#latest) return;
    this.#latest = text;
    const nowMs = this.#o.clock.nowMs();
    if (nowMs - this.#sentAtMs >= everyMs) this.#send(text, nowMs);
    else this.#o.pulse.join(this);
  }

  beat(nowMs: number): void {
    if (this.#latest !== undefined && nowMs - this.#sentAtMs >= everyMs) this.#send(this.#latest, nowMs);
  }

  close(): void {
    this.#o.pulse.leave(this);
  }

  #send(text: string, nowMs: number): void {
    this.#sentAtMs = nowMs;
    this.#o.pulse.leave(this);
    this.#o.send(text);
  }
}
