// Finds stop strings in a text that arrives in pieces. Text that may be the beginning of one is held back
// until that is decided, so nothing of a stop string is ever given out.

export class StopStrings {
  readonly #words: readonly string[];
  #held = "";
  #found = "";

  constructor(words: readonly string[]) {
    this.#words = words.filter((word) => word !== "");
  }

  /** The stop string that ended the text, or nothing. */
  get found(): string {
    return this.#found;
  }

  /** Gives back what is certain not to belong to a stop string. */
  push(text: string): string {
    if (this.#words.length === 0) return text;
    const whole = this.#held + text;
    let at = Number.POSITIVE_INFINITY;
    for (const word of this.#words) {
      const index = whole.indexOf(word);
      if (index === -1 || index >= at) continue;
      at = index;
      this.#found = word;
    }
    if (this.#found === "") at = whole.length - this.#overlap(whole);
    this.#held = this.#found === "" ? whole.slice(at) : "";
    return whole.slice(0, at);
  }

  /** What was held back when the text ends without a stop string. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }

  /** The length of the longest end of the text that begins a stop string. */
  #overlap(text: string): number {
    let longest = 0;
    for (const word of this.#words) {
      for (let length = Math.min(word.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(word.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
