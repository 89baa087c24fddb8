// Gives the tokens of one stream their index, their digest and their text, and remembers whether an engine
// has told the ids of all of them. It sees every delivered token once, in order, and keeps none.

import { StreamDigest } from "@llama-orch/contract";
import type { EngineFrame } from "@llama-orch/engines/adapter";
import { batchText, tokenText } from "./frame-text.ts";
import { beginning, type Mark } from "./segment-record.ts";
import type { Entry } from "./stored-entries.ts";

export class TokenWriter {
  readonly #digest: StreamDigest;
  readonly #tokensPerFrame: number;
  #next: number;
  #hasExactIds: boolean;

  /**
   * @param how with `microbatch`, what arrived together shares frames of so many tokens
   * @param mark where the writer of an earlier process stood
   */
  constructor(
    how: { readonly microbatch: boolean; readonly microbatchTokens: number },
    { frames, hasExactIds, lanes }: Mark = beginning,
  ) {
    this.#tokensPerFrame = how.microbatch ? how.microbatchTokens : 1;
    this.#digest = StreamDigest.from(lanes);
    this.#next = frames;
    this.#hasExactIds = hasExactIds;
  }

  get frames(): number {
    return this.#next;
  }

  /** @param tokensOut what all frames so far stand for */
  mark(tokensOut: number): Mark {
    return {
      frames: this.#next,
      tokensOut,
      hasExactIds: this.#hasExactIds,
      lanes: this.#digest.state(),
    };
  }

  /** What the digest would be with these frames; nothing is written. */
  digestWith(frames: readonly EngineFrame[]): string {
    const digest = StreamDigest.from(this.#digest.state());
    for (const [n, { t }] of frames.entries()) digest.add(this.#next + n, t.toWellFormed());
    return digest.hex();
  }

  get digest(): string {
    return this.#digest.hex();
  }

  get hasExactIds(): boolean {
    return this.#hasExactIds;
  }

  write(frames: readonly EngineFrame[]): Pick<Entry, "text" | "count" | "ids"> {
    const text = this.#tokensPerFrame === 1 ? this.#single(frames) : this.#merged(frames);
    return { text, count: frames.length, ids: this.#idsOf(frames) };
  }

  #single(frames: readonly EngineFrame[]): string {
    let text = "";
    for (const frame of frames) {
      const t = frame.t.toWellFormed();
      const index = this.#next++;
      this.#digest.add(index, t);
      text += tokenText(index, t, this.#digest.short());
    }
    return text;
  }

  #merged(frames: readonly EngineFrame[]): string {
    let text = "";
    for (let n = 0; n < frames.length; n += this.#tokensPerFrame) {
      const together = frames.slice(n, n + this.#tokensPerFrame);
      const pieces = together.map(({ t }) => ({ t: t.toWellFormed(), i: this.#next++ }));
      for (const { t, i } of pieces) this.#digest.add(i, t);
      text += batchText(pieces, this.#digest.short());
    }
    return text;
  }

  #idsOf(frames: readonly EngineFrame[]): readonly number[] | undefined {
    if (!this.#hasExactIds) return undefined;
    const ids: number[] = [];
    for (const frame of frames) {
      if (frame.ids === undefined) {
        this.#hasExactIds = false;
        return undefined;
      }
      for (const id of frame.ids) ids.push(id);
    }
    return ids;
  }
}
