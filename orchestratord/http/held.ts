// How much memory peers make the daemon hold for them: bodies on their way in, and answers they do not take.
// It bounds the sum over all connections and ends a connection whose answer stalls.

import type { ServerResponse } from "node:http";
import { OrchError } from "@llama-orch/contract";
import type { Limits } from "./limits.ts";

export class Held {
  #bytes = 0;
  readonly #limits: Limits;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get discardedBytesMax(): number {
    return this.#limits.discardedBytesMax;
  }

  /** Every taken byte is given back by whoever took it. */
  take(bytes: number): void {
    this.#bytes += bytes;
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** @throws ADMISSION_REJECT while too much is held already */
  requireRoom(): void {
    if (this.#bytes < this.#limits.heldBytesMax) return;
    const message = "Too many large requests are on their way; send this one again in a second.";
    throw new OrchError("ADMISSION_REJECT", message, { policy_label: "quota", retry_after_ms: 1000 });
  }

  /** For an answer that the socket did not take at once; while some of it goes out, it may take its time. */
  untilTaken(response: ServerResponse, bytes: number): void {
    this.take(bytes);
    // Node ends a connection on which nothing moves for so long, and knows what the kernel has taken.
    response.setTimeout(this.#limits.answerStallMs);
    response.prependOnceListener("finish", () => response.setTimeout(0));
    response.once("close", () => this.giveBack(bytes));
  }
}
