// POST /completion: from a request in llama-server's fields to a stream of its frames, or to one answer.

import { type LlamaGrammar, LlamaGrammarEvaluationState, type LlamaModel } from "node-llama-cpp";
import { type Body, booleanIn, integerIn, numberIn, spelled } from "./fields.ts";
import { Collected, FrameWriter } from "./frames.ts";
import { type Attempt, type Generated, generate } from "./generate.ts";
import { type Exchange, sendJson } from "./http.ts";
import type { Metrics } from "./metrics.ts";
import type { Pieces } from "./pieces.ts";
import { readPrompt, type Tokenizer } from "./prompt.ts";
import { invalid, Refusal } from "./refusal.ts";
import { readSampling } from "./sampling.ts";
import { noSlot, type Slot, type Slots } from "./slots.ts";

/** What completions share with the rest of the engine. */
export interface Served {
  readonly alias: string;
  readonly ctx: number;
  readonly model: LlamaModel;
  readonly tokenizer: Tokenizer;
  readonly pieces: Pieces;
  readonly slots: Slots;
  readonly metrics: Metrics;
  /** Numbers the attempts of this process. */
  nextAttempt(): number;
  /** A grammar that holds answers to the schema. @throws Refusal */
  grammar(schema: unknown): Promise<LlamaGrammar | undefined>;
}

interface Completion extends Attempt {
  readonly stream: boolean;
  readonly withTokens: boolean;
  readonly slotId: number;
  readonly pingS: number;
}

const int32Max = 0x7fff_ffff;

export async function complete(served: Served, exchange: Exchange): Promise<void> {
  const { slots } = served;
  const completion = await readCompletion(served, await exchange.body());
  const isImpatient = ["1", "true"].includes(exchange.query.get("fail_on_no_slot") ?? "");
  if (isImpatient && slots.busy === slots.all.length) throw noSlot();
  const wish = { id: completion.slotId, ...(completion.reuseCache ? { prefix: completion.prompt } : {}) };
  // Who leaves while waiting, or in the middle, has nobody left to answer.
  const slot = await slots.take(wish, exchange.signal).catch((error: unknown) => {
    if (exchange.signal.aborted) return undefined;
    throw error;
  });
  if (slot === undefined) return;
  slot.attempt = served.nextAttempt();
  try {
    await (completion.stream ? stream : single)(served, exchange, completion, slot);
  } catch (error) {
    if (!exchange.signal.aborted) throw error;
  } finally {
    slots.give(slot);
  }
}

async function stream(
  { pieces, metrics, alias }: Served,
  { response, signal }: Exchange,
  completion: Completion,
  slot: Slot,
): Promise<void> {
  const { prompt, withTokens, pingS } = completion;
  const frames = new FrameWriter(response, { promptTokens: prompt.length, withTokens, pingS });
  try {
    const generated = await generate(slot, completion, pieces, frames, signal);
    metrics.count(prompt.length, generated);
    if (signal.aborted) return;
    const text = { index: 0, content: "", tokens: [] };
    frames.end({ ...text, ...ending(completion, generated, slot, alias, pieces.textOf(prompt)) });
  } finally {
    frames.close();
  }
}

async function single(
  { pieces, metrics, alias }: Served,
  { response, signal }: Exchange,
  completion: Completion,
  slot: Slot,
): Promise<void> {
  const { prompt, withTokens } = completion;
  const collected = new Collected();
  const generated = await generate(slot, completion, pieces, collected, signal);
  metrics.count(prompt.length, generated);
  if (signal.aborted) return;
  const text = { index: 0, content: collected.text, tokens: withTokens ? collected.tokens : [] };
  sendJson(response, { ...text, ...ending(completion, generated, slot, alias, pieces.textOf(prompt)) });
}

async function readCompletion(served: Served, body: Body): Promise<Completion> {
  const { tokenizer, ctx } = served;
  if ((body.prompt ?? undefined) === undefined) throw invalid(`"prompt" is missing`);
  const sampling = readSampling(body);
  const stop = readStop(body.stop ?? []);
  const prompt = readPrompt(body.prompt, tokenizer);
  if (prompt.length === 0) throw invalid("The prompt is empty, and this model has no token to begin with");
  if (prompt.length >= ctx) throw tooLong(prompt.length, ctx);
  const grammar = await served.grammar(body.json_schema ?? undefined);
  return {
    prompt,
    sampling,
    stop,
    ...(grammar === undefined ? {} : { grammar: begun(served, grammar) }),
    maxTokens: integerIn(
      body,
      spelled(body, "n_predict", "max_tokens", "max_completion_tokens"),
      -1,
      -1,
      int32Max,
    ),
    reuseCache: booleanIn(body, "cache_prompt", true),
    stream: booleanIn(body, "stream", false),
    withTokens: booleanIn(body, "return_tokens", false),
    slotId: integerIn(body, "id_slot", -1, -1, int32Max),
    pingS: Math.max(0, numberIn(body, "sse_ping_interval", 30, -1, 86_400)),
  };
}

function begun({ model }: Served, grammar: LlamaGrammar): LlamaGrammarEvaluationState {
  return new LlamaGrammarEvaluationState({ model, grammar });
}

function readStop(value: unknown): string[] {
  const words: unknown[] = Array.isArray(value) ? value : [value];
  if (words.every((word) => typeof word === "string")) return words;
  throw invalid("Field 'stop': expected a string or a list of strings");
}

function tooLong(promptTokens: number, ctx: number): Refusal {
  const message = `request (${promptTokens} tokens) exceeds the available context size (${ctx} tokens), try increasing it`;
  return new Refusal("exceed_context_size_error", message, { n_prompt_tokens: promptTokens, n_ctx: ctx });
}

/** What the last frame and the single answer have in common. */
function ending(completion: Completion, generated: Generated, slot: Slot, alias: string, prompt: string) {
  const { stopType, stoppingWord, truncated, tokensPredicted, cachedTokens } = generated;
  const evaluated = completion.prompt.length;
  return {
    id_slot: slot.id,
    stop: true,
    model: alias,
    tokens_predicted: tokensPredicted,
    tokens_evaluated: evaluated,
    generation_settings: settingsOf(completion),
    prompt,
    has_new_line: generated.hasNewLine,
    truncated,
    stop_type: stopType,
    stopping_word: stoppingWord,
    tokens_cached: slot.sequence.nextTokenIndex,
    timings: {
      cache_n: cachedTokens,
      ...timings("prompt", evaluated - cachedTokens, generated.promptMs),
      ...timings("predicted", tokensPredicted, generated.predictedMs),
    },
  };
}

function timings(what: string, count: number, ms: number) {
  return {
    [`${what}_n`]: count,
    [`${what}_ms`]: ms,
    [`${what}_per_token_ms`]: count === 0 ? 0 : ms / count,
    [`${what}_per_second`]: ms === 0 ? 0 : (1000 * count) / ms,
  };
}

function settingsOf({ sampling, stop, maxTokens, stream }: Completion) {
  return {
    n_predict: maxTokens,
    seed: sampling.seed,
    temperature: sampling.temperature,
    top_k: sampling.topK,
    top_p: sampling.topP,
    min_p: sampling.minP,
    repeat_last_n: sampling.repeatLastN,
    repeat_penalty: sampling.repeatPenalty,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    stop,
    stream,
  };
}
