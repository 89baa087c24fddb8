// Puts the parts together once the model is loaded: what each path answers, and what the answers share.

import { complete, type Served } from "./completion.ts";
import type { EmbeddedConfig } from "./config.ts";
import { type Body, booleanIn } from "./fields.ts";
import { type Exchange, type Routes, send, sendJson } from "./http.ts";
import { Metrics } from "./metrics.ts";
import { loadModel } from "./model.ts";
import { Pieces } from "./pieces.ts";
import { readContent, readTokens, tokenizerOf } from "./prompt.ts";
import { propsOf } from "./props.ts";
import { invalid } from "./refusal.ts";
import { grammarFor } from "./schema.ts";
import { noSlot, Slots } from "./slots.ts";
import { applyTemplate } from "./template.ts";
import { type Vectors, vectorsOf } from "./vectors.ts";

/** Loads the model; the process serves from then on. @throws Error when the model cannot be served */
export async function openApplication(config: EmbeddedConfig): Promise<{ routes: Routes; slots: Slots }> {
  const loaded = await loadModel(config);
  const { model, llama, ctx, shape } = loaded;
  const tokenizer = tokenizerOf(model);
  let attempts = 0;
  const served: Served = {
    alias: config.alias,
    ctx,
    model,
    tokenizer,
    pieces: new Pieces(model),
    slots: new Slots(loaded.sequences),
    metrics: new Metrics(),
    nextAttempt: () => attempts++,
    grammar: async (schema) => (schema === undefined ? undefined : grammarFor(llama, schema)),
  };
  const vectors = vectorsOf(model, tokenizer, ctx, shape);
  const routes = routesOf(served, vectors, await propsOf(loaded, config));
  return { routes, slots: served.slots };
}

function routesOf(served: Served, vectors: Vectors, props: object): Routes {
  const health = ({ response }: Exchange) => sendJson(response, { status: "ok" });
  const completion = (exchange: Exchange) => complete(served, exchange);
  const answers = (from: (body: Body, signal: AbortSignal) => unknown) => async (exchange: Exchange) => {
    const body = await exchange.body();
    sendJson(exchange.response, await from(body, exchange.signal));
  };
  const rerank = answers(async (body, signal) => reranked(await vectors.rerank(body, signal), served.alias));
  const embedding = answers(async (body, signal) => nativeEmbedding(await vectors.embed(body, signal)));
  return {
    "GET /health": health,
    "GET /v1/health": health,
    "GET /props": ({ response }) => sendJson(response, props),
    "GET /slots": (exchange) => sendSlots(served, exchange),
    "GET /metrics": ({ response }) => sendMetrics(served, response),
    "POST /completion": completion,
    "POST /completions": completion,
    "POST /tokenize": answers((body) => tokenize(served, body)),
    "POST /detokenize": answers((body) => detokenize(served, body)),
    "POST /apply-template": answers((body) => ({ prompt: applyTemplate(served.model, body) })),
    "POST /embedding": embedding,
    "POST /embeddings": embedding,
    "POST /v1/embeddings": answers(async (body, signal) =>
      openaiEmbedding(await vectors.embed(body, signal), body, served.alias),
    ),
    "POST /rerank": rerank,
    "POST /reranking": rerank,
    "POST /v1/rerank": rerank,
    "POST /v1/reranking": rerank,
  };
}

function sendSlots({ slots, ctx }: Served, { query, response }: Exchange): void {
  if (query.has("fail_on_no_slot") && slots.busy === slots.all.length) throw noSlot();
  const list = slots.all.map((slot) => ({
    id: slot.id,
    n_ctx: ctx,
    speculative: false,
    is_processing: slots.isBusy(slot),
    id_task: slot.attempt,
    n_prompt_tokens: slot.promptTokens,
    n_prompt_tokens_processed: slot.promptTokens - slot.cachedTokens,
    n_prompt_tokens_cache: slot.cachedTokens,
    next_token: [
      { has_next_token: slots.isBusy(slot), n_remain: slot.tokensLeft, n_decoded: slot.tokensPredicted },
    ],
  }));
  sendJson(response, list);
}

function sendMetrics({ metrics, slots }: Served, response: Exchange["response"]): void {
  send(response, 200, "text/plain; version=0.0.4", metrics.print(slots));
}

function tokenize({ tokenizer, pieces }: Served, body: Body) {
  const addSpecial = booleanIn(body, "add_special", false);
  const tokens = readContent(body.content, tokenizer, addSpecial, booleanIn(body, "parse_special", true));
  if (!booleanIn(body, "with_pieces", false)) return { tokens };
  return { tokens: tokens.map((id) => ({ id, piece: pieces.textOf([id]) })) };
}

function detokenize({ tokenizer, pieces }: Served, body: Body) {
  return { content: pieces.textOf(readTokens(body.tokens, tokenizer)) };
}

function nativeEmbedding({ vectors }: Awaited<ReturnType<Vectors["embed"]>>) {
  return vectors.map((vector, index) => ({ index, embedding: [vector] }));
}

function openaiEmbedding(embedded: Awaited<ReturnType<Vectors["embed"]>>, body: Body, model: string) {
  const format = body.encoding_format ?? "float";
  if (format !== "float" && format !== "base64") throw invalid(`"encoding_format" must be float or base64`);
  const written = (vector: readonly number[]) =>
    format === "float" ? vector : Buffer.from(Float32Array.from(vector).buffer).toString("base64");
  const data = embedded.vectors.map((vector, index) => ({
    embedding: written(vector),
    index,
    object: "embedding",
  }));
  return { model, object: "list", usage: usage(embedded.promptTokens), data };
}

function reranked({ results, promptTokens }: Awaited<ReturnType<Vectors["rerank"]>>, model: string) {
  return { model, object: "list", usage: usage(promptTokens), results };
}

function usage(promptTokens: number) {
  return { prompt_tokens: promptTokens, total_tokens: promptTokens };
}
