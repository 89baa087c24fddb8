// An attempt that starts anew after text was delivered. Its text is compared with the delivered one, piece by
// piece out of the ring, and only what goes beyond it is new. Texts decide, not how they are cut: delivered
// frames stay as they were cut, and of a frame that reaches over their end only the remainder is new. So no
// reader ever gets a byte twice or another byte for one it has.

import type { EngineFrame } from "@llama-orch/engines/adapter";
import { piecesOf, readFrames } from "./frame-text.ts";
import type { Ring } from "./ring.ts";

export type Compared =
  | { readonly verdict: "differs" }
  /** `fresh`: the frames beyond what was delivered. */
  | { readonly verdict: "equal"; readonly fresh: readonly EngineFrame[] };

export class Replayed {
  readonly #ring: Ring;
  readonly #until: number;
  #at = 0;
  /** Delivered text that was loaded and not yet compared. */
  #expected = "";

  constructor(ring: Ring) {
    this.#ring = ring;
    this.#until = ring.end;
  }

  /** Whether all that was delivered has been made again. */
  get isComplete(): boolean {
    return this.#expected === "" && !this.#load();
  }

  take(frames: readonly EngineFrame[]): Compared {
    for (const [n, frame] of frames.entries()) {
      const rest = this.#compare(frame.t.toWellFormed());
      if (rest === undefined) return { verdict: "differs" };
      if (rest === "") continue;
      const first = rest.length === frame.t.length ? frame : { t: rest };
      return { verdict: "equal", fresh: [first, ...frames.slice(n + 1)] };
    }
    return { verdict: "equal", fresh: [] };
  }

  /** What of a text lies beyond the delivered one; undefined where they differ. */
  #compare(text: string): string | undefined {
    let rest = text;
    while (rest !== "" && !this.isComplete) {
      const length = Math.min(rest.length, this.#expected.length);
      if (rest.slice(0, length) !== this.#expected.slice(0, length)) return undefined;
      rest = rest.slice(length);
      this.#expected = this.#expected.slice(length);
    }
    return rest;
  }

  #load(): boolean {
    while (this.#at < this.#until) {
      const { text, next } = this.#ring.read(this.#at, { verbose: false, lean: false });
      this.#at = next;
      for (const frame of readFrames(text)) {
        if (frame.event !== "token") continue;
        for (const { t } of piecesOf(frame.data)) this.#expected += t;
      }
      if (this.#expected !== "") return true;
    }
    return false;
  }
}
