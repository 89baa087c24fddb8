// The text of each token, asked of the model once and kept. A token that ends inside a character has no text
// of its own: its bytes are held until the tokens after it complete the character.

import type { LlamaModel, Token } from "node-llama-cpp";

export interface Piece {
  /** Absent where the text depends on the tokens before it. */
  readonly text?: string;
  readonly endsText: boolean;
}

/** A character has at most four bytes, so a fifth token without one is no text at all. */
const heldMax = 4;
const replacement = "�";

export class Pieces {
  readonly #model: LlamaModel;
  readonly #known: Piece[] = [];
  /** Before other tokens it keeps llama.cpp from trimming the space that a first token begins with. */
  readonly #anchor: readonly Token[];
  readonly #anchorText: string;

  constructor(model: LlamaModel) {
    this.#model = model;
    this.#anchor = model.tokenize("a").slice(-1) as Token[];
    this.#anchorText = model.detokenize([...this.#anchor]);
  }

  of(id: number): Piece {
    return this.#known[id] ?? this.#learn(id);
  }

  textOf(ids: readonly number[]): string {
    const text = this.#model.detokenize([...this.#anchor, ...(ids as Token[])]);
    if (text.startsWith(this.#anchorText)) return text.slice(this.#anchorText.length);
    return this.#model.detokenize(ids as Token[]);
  }

  #learn(id: number): Piece {
    const endsText = this.#model.isEogToken(id as Token);
    const text = this.textOf([id]);
    const piece = text.includes(replacement) ? { endsText } : { text, endsText };
    this.#known[id] = piece;
    return piece;
  }
}

/** Turns the tokens of one answer into text that never ends inside a character. */
export class PieceFeed {
  readonly #pieces: Pieces;
  #held: number[] = [];

  constructor(pieces: Pieces) {
    this.#pieces = pieces;
  }

  push(id: number, piece: Piece): string {
    if (this.#held.length === 0 && piece.text !== undefined) return piece.text;
    this.#held.push(id);
    const text = this.#pieces.textOf(this.#held);
    if (text.endsWith(replacement) && this.#held.length < heldMax) return "";
    this.#held = [];
    return text;
  }

  /** What an answer that ends inside a character is left with. */
  flush(): string {
    const text = this.#held.length === 0 ? "" : this.#pieces.textOf(this.#held);
    this.#held = [];
    return text;
  }
}
