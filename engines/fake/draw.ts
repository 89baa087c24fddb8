// Which token the fake engine says next: a pure function of all ids before it, prompt and answer alike, and
// of how the next one is to be chosen. So the same request gives the same text, and a prompt that already
// holds the first ids of an answer is continued by the rest of it.

import { eosId, idFor } from "./vocabulary.ts";

export interface Choosing {
  readonly seed: number;
  readonly temperature: number;
  /** Everything else that a real engine would weigh. */
  readonly sampling: string;
  /** How long an answer is on average before it ends by itself; 0: it never does. */
  readonly meanTokens: number;
}

export class Draw {
  readonly #key: number;
  readonly #endBelow: number;
  #state: number;

  constructor(prompt: readonly number[], { seed, temperature, sampling, meanTokens }: Choosing) {
    // Greedy decoding has no dice, so the seed changes nothing.
    this.#key = temperature <= 0 ? 0 : mix(hash(`${temperature} ${sampling}`) ^ mix(seed >>> 0));
    this.#endBelow = meanTokens <= 0 ? 0 : 2 ** 32 / meanTokens;
    this.#state = 0x811c9dc5;
    for (const id of prompt) this.#step(id);
  }

  next(): number {
    const bits = mix(this.#state ^ this.#key);
    const id = this.#endBelow > 0 && mix(bits) < this.#endBelow ? eosId : idFor(bits);
    this.#step(id);
    return id;
  }

  #step(id: number): void {
    const turned = (this.#state << 5) | (this.#state >>> 27);
    this.#state = Math.imul(turned ^ (id + 1), 0x9e3779b1) >>> 0;
  }
}

/** The finalizer of murmur3: every bit of the input moves every bit of the output. */
export function mix(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

export function hash(text: string): number {
  let bits = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1)
    bits = Math.imul(bits ^ text.charCodeAt(index), 0x01000193);
  return bits >>> 0;
}
