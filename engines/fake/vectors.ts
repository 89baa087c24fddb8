// Embeddings and reranks of the fake engine: pure functions of the text, of no meaning but their equality.

import { hash, mix } from "./draw.ts";
import { tokenize } from "./vocabulary.ts";

const dimensions = 8;

export function embeddings(inputs: readonly string[]) {
  const data = inputs.map((input, index) => ({ embedding: vectorOf(input), index, object: "embedding" }));
  return { model: "fake", object: "list", usage: usageOf(inputs), data };
}

export function ranks(query: string, documents: readonly string[], top: number) {
  const results = documents
    .map((document, index) => ({ index, relevance_score: mix(hash(`${query}\n${document}`)) / 2 ** 32 }))
    .sort((a, b) => b.relevance_score - a.relevance_score)
    .slice(0, top);
  return { model: "fake", object: "list", usage: usageOf(documents), results };
}

/** Of length 1, as pooled embeddings are. */
function vectorOf(text: string): number[] {
  const raw = Array.from({ length: dimensions }, (_, axis) => mix(hash(text) ^ mix(axis)) / 2 ** 31 - 1);
  const length = Math.hypot(...raw);
  return raw.map((value) => value / length);
}

function usageOf(texts: readonly string[]) {
  const tokens = texts.reduce((sum, text) => sum + tokenize(text, true, true).length, 0);
  return { prompt_tokens: tokens, total_tokens: tokens };
}
