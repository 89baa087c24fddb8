// Embeddings and reranks of llama-server: the bodies of the calls and what their answers mean. It does no
// I/O.

import type { Result, TaskBody } from "@llama-orch/contract";
import { lost } from "../fault.ts";
import { isCount } from "./count.ts";

export interface VectorCall {
  readonly path: string;
  readonly body: unknown;
  read(answer: unknown): { readonly result: Result; readonly promptTokens: number };
}

export function embeddingCall({ inputs, prompt = "" }: TaskBody): VectorCall {
  return {
    path: "/v1/embeddings",
    body: { input: inputs ?? [prompt], encoding_format: "float" },
    read(answer) {
      const rows = listIn<{ index: number; embedding: number[] }>(answer, "data");
      const embeddings = rows.sort((a, b) => a.index - b.index).map(({ embedding }) => embedding);
      return { result: { embeddings }, promptTokens: promptTokensOf(answer) };
    },
  };
}

export function rerankCall({ query, inputs = [] }: TaskBody): VectorCall {
  return {
    path: "/v1/rerank",
    body: { query, documents: inputs, top_n: inputs.length },
    read(answer) {
      const rows = listIn<{ index: number; relevance_score: number }>(answer, "results");
      const scores = rows.map(({ index, relevance_score: score }) => ({ index, score }));
      return { result: { scores }, promptTokens: promptTokensOf(answer) };
    },
  };
}

function listIn<Row>(answer: unknown, key: string): Row[] {
  const rows = (answer as Record<string, unknown> | null)?.[key];
  if (!Array.isArray(rows)) throw lost("reset", `The engine answered without the list ${key}.`);
  return rows as Row[];
}

function promptTokensOf(answer: unknown): number {
  const tokens = (answer as { usage?: { prompt_tokens?: unknown } }).usage?.prompt_tokens ?? 0;
  if (!isCount(tokens)) throw lost("reset", "The engine answered with a number of tokens that is none.");
  return tokens;
}
