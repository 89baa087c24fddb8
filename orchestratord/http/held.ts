// How much memory peers make the daemon hold for them: bodies on their way in, and answers they do not take.
// It bounds the sum over all connections and ends a connection whose answer stalls.

import type { ServerResponse } from "node:http";
import { OrchError } from "@llama-orch/contract";
import type { Limits } from "./limits.ts";

/** Room that is taken until it is disposed of. */
export interface Reservation extends Disposable {
  /** Gives back what turned out not to be needed. */
  shrinkTo(bytes: number): void;
}

export class Held {
  #bytes = 0;
  readonly #limits: Limits;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /**
   * Before the first byte is read, since afterwards it would be too late to refuse it. The last part of the
   * room is for small bodies alone: a few large ones that come slowly keep no task from being handed in.
   * @throws ADMISSION_REJECT where the bytes have no room now
   */
  reserve(bytes: number): Reservation {
    const { heldBytesMax, smallBytesMax, smallRoomBytes } = this.#limits;
    const max = bytes <= smallBytesMax ? heldBytesMax : heldBytesMax - smallRoomBytes;
    if (this.#bytes + bytes > max) {
      const message = "Too many large requests are on their way; send this one again in a second.";
      throw new OrchError("ADMISSION_REJECT", message, { policy_label: "quota", retry_after_ms: 1000 });
    }
    let reserved = bytes;
    const shrinkTo = (needed: number) => {
      this.#bytes -= reserved - needed;
      reserved = needed;
    };
    this.#bytes += bytes;
    return { shrinkTo, [Symbol.dispose]: () => shrinkTo(0) };
  }

  /** For an answer that the socket did not take at once; while some of it goes out, it may take its time. */
  untilTaken(response: ServerResponse, bytes: number): void {
    this.#bytes += bytes;
    // Node ends a connection on which nothing moves for so long, and knows what the kernel has taken.
    response.setTimeout(this.#limits.answerStallMs);
    response.prependOnceListener("finish", () => response.setTimeout(0));
    response.once("close", () => {
      this.#bytes -= bytes;
    });
  }
}
