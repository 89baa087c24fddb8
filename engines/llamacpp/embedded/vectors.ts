// Embeddings and rerankings. Each has one context of its own, made at the first request, so that a model that
// only writes pays nothing for them, and they never share a batch with a stream.

import type { LlamaEmbeddingContext, LlamaModel, LlamaRankingContext, Token } from "node-llama-cpp";
import { type Body, integerIn, isObject, textIn } from "./fields.ts";
import type { ContextShape } from "./model.ts";
import { readTokens, type Tokenizer } from "./prompt.ts";
import { invalid, Refusal } from "./refusal.ts";

const inputsMax = 2048;

export interface Vectors {
  /** Looks for its caller between two inputs. @throws Refusal, or the signal's reason */
  embed(body: Body, signal: AbortSignal): Promise<Embedded>;
  /** Best first; else like `embed`. */
  rerank(body: Body, signal: AbortSignal): Promise<Reranked>;
}

export interface Embedded {
  readonly vectors: readonly (readonly number[])[];
  readonly promptTokens: number;
}

export interface Reranked {
  readonly results: readonly { readonly index: number; readonly relevance_score: number }[];
  readonly promptTokens: number;
}

export function vectorsOf(
  model: LlamaModel,
  tokenizer: Tokenizer,
  ctx: number,
  { threads }: ContextShape,
): Vectors {
  const options = { contextSize: ctx, batchSize: ctx, threads };
  const embedding = kept(() => model.createEmbeddingContext(options));
  const ranking = kept(() => model.createRankingContext(options));
  return {
    async embed(body, signal) {
      const inputs = readInputs(body.input ?? body.content, tokenizer);
      const context: LlamaEmbeddingContext = await embedding();
      const lengths = inputs.map((input) => context.calculateInputLength(input));
      for (const length of lengths) checkLength(length, ctx);
      const vectors: number[][] = [];
      for (const input of inputs) {
        signal.throwIfAborted();
        const { vector } = await context.getEmbeddingFor(input);
        vectors.push(normalized(vector));
      }
      return { vectors, promptTokens: sum(lengths) };
    },
    async rerank(body, signal) {
      if (!model.fileInsights.supportsRanking) {
        throw new Refusal(
          "not_supported_error",
          "This server does not support reranking. Serve a reranker model",
        );
      }
      const query = textIn(body, "query");
      const documents = readDocuments(body.documents);
      const topN = integerIn(body, "top_n", documents.length, 0, Number.MAX_SAFE_INTEGER);
      const context: LlamaRankingContext = await ranking();
      const results: { index: number; relevance_score: number }[] = [];
      for (const [index, document] of documents.entries()) {
        signal.throwIfAborted();
        results.push({ index, relevance_score: await context.rank(query, document) });
      }
      const tokens = documents.map((text) => tokenizer.tokenize(query + text, true, false).length);
      results.sort((a, b) => b.relevance_score - a.relevance_score);
      return { results: results.slice(0, topN), promptTokens: sum(tokens) };
    },
  };
}

/** Made once; but what could not be made is tried again by the next who asks. */
function kept<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return async () => {
    made ??= make();
    try {
      return await made;
    } catch (error) {
      made = undefined;
      throw error;
    }
  };
}

/** One input or a list of them; each a text or a list of token ids. */
function readInputs(value: unknown, tokenizer: Tokenizer): Token[][] {
  const isOne = typeof value === "string" || (Array.isArray(value) && typeof value[0] === "number");
  const list: unknown = isOne ? [value] : value;
  if (!Array.isArray(list) || list.length === 0) {
    throw invalid(`"input" must be a text, a list of token ids, or a list of those`);
  }
  if (list.length > inputsMax) throw invalid(`"input" has at most ${inputsMax} texts`);
  // As llama-server tokenizes them: names of special tokens become these tokens.
  return list.map((item: unknown) =>
    typeof item === "string" ? tokenizer.tokenize(item, true, true) : readTokens(item, tokenizer),
  ) as Token[][];
}

function readDocuments(value: unknown): string[] {
  const texts = Array.isArray(value) ? value.map((item) => (isObject(item) ? item.text : item)) : [];
  if (texts.length === 0 || !texts.every((text) => typeof text === "string")) {
    throw invalid(`"documents" must be a non-empty list of texts`);
  }
  if (texts.length > inputsMax) throw invalid(`"documents" has at most ${inputsMax} texts`);
  return texts;
}

function checkLength(tokens: number, ctx: number): void {
  if (tokens < ctx) return;
  const message = `input (${tokens} tokens) is too large to process. increase the physical batch size (current batch size: ${ctx})`;
  throw new Refusal("server_error", message);
}

function normalized(vector: readonly number[]): number[] {
  const length = Math.sqrt(sum(vector.map((value) => value * value)));
  return length === 0 ? [...vector] : vector.map((value) => value / length);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
