// From the `prompt` of a request to tokens, as llama-server reads it: a text gets the model's own beginning,
// a list of ids is taken as it is, and a list that mixes both is joined.

import type { LlamaModel } from "node-llama-cpp";
import { invalid } from "./refusal.ts";

export interface Tokenizer {
  /** As at the beginning of a text, or in the middle of one. */
  tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): number[];
  readonly vocabularySize: number;
}

export function tokenizerOf(model: LlamaModel): Tokenizer {
  const { tokens, fileInfo } = model;
  const list: unknown = fileInfo.metadata.tokenizer?.ggml.tokens;
  return {
    vocabularySize: Array.isArray(list) ? list.length : Number.MAX_SAFE_INTEGER,
    tokenize(text, addSpecial, parseSpecial) {
      const found: number[] = model.tokenize(text, parseSpecial);
      if (!addSpecial) return found;
      if (tokens.shouldPrependBosToken && tokens.bos !== null) found.unshift(tokens.bos);
      if (tokens.shouldAppendEosToken && tokens.eos !== null) found.push(tokens.eos);
      return found;
    },
  };
}

export function readPrompt(value: unknown, tokenizer: Tokenizer): number[] {
  if (typeof value === "string") return tokenizer.tokenize(value, true, true);
  if (!Array.isArray(value))
    throw invalid(`"prompt" must be a string, a list of token ids, or a list of both`);
  const parts: readonly unknown[] = value;
  if (parts.length === 1 && !isToken(parts[0])) return readPrompt(parts[0], tokenizer);
  if (parts.every((part) => typeof part === "string") || parts.some((part) => !isPart(part))) {
    throw invalid("The embedded engine takes one prompt per request; send each on its own");
  }
  return parts.flatMap((part, index) => {
    if (typeof part === "string") return tokenizer.tokenize(part, index === 0, true);
    if ((part as number) < tokenizer.vocabularySize) return part as number;
    throw invalid("Prompt contains invalid tokens");
  });
}

/**
 * The `content` of /tokenize: a text, or a list of texts and ids, whose tokens are joined. Ids come back as
 * they are, known or not, as llama-server gives them; only a text in front gets the model's own beginning.
 */
export function readContent(
  value: unknown,
  tokenizer: Tokenizer,
  addSpecial: boolean,
  parseSpecial: boolean,
): number[] {
  const parts: readonly unknown[] = Array.isArray(value) ? value : [value];
  return parts.flatMap((part, index) => {
    if (typeof part === "string") return tokenizer.tokenize(part, addSpecial && index === 0, parseSpecial);
    if (Array.isArray(value) && Number.isInteger(part)) return part as number;
    throw invalid("Field 'content': expected a string, or a list of strings and token ids");
  });
}

/** @throws Refusal when one is no token of this vocabulary */
export function readTokens(value: unknown, tokenizer: Tokenizer): number[] {
  if (!Array.isArray(value)) throw invalid(`"tokens" must be a list of token ids`);
  const isKnown = (id: unknown) => isToken(id) && id < tokenizer.vocabularySize;
  if (!value.every(isKnown)) throw invalid("The list contains invalid tokens");
  return value as number[];
}

function isPart(value: unknown): boolean {
  return typeof value === "string" || isToken(value);
}

function isToken(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0;
}
