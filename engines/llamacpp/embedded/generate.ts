// One attempt in one slot: feeds the prompt in batches, then takes token after token until the model, a stop
// string, a limit or the caller ends it. Between two batches, and between two tokens, it looks whether the
// caller is still there. What a slot held before is forgotten unless the request reuses caches.

import type { LlamaGrammarEvaluationState, Token } from "node-llama-cpp";
import { PieceFeed, type Pieces } from "./pieces.ts";
import { type Sampling, samplerOptions } from "./sampling.ts";
import type { Slot } from "./slots.ts";
import { StopStrings } from "./stop-strings.ts";

export interface Attempt {
  readonly prompt: readonly number[];
  readonly sampling: Sampling;
  readonly stop: readonly string[];
  /** -1 goes on until the context is full. */
  readonly maxTokens: number;
  readonly reuseCache: boolean;
  readonly grammar?: LlamaGrammarEvaluationState;
}

export interface Sink {
  /** Every token comes here with the text that has become certain; -1 stands for text without a token. */
  write(id: number, text: string, tokensPredicted: number): void;
  /** Resolves when the reader has caught up; absent while it keeps up. */
  readonly full: Promise<void> | undefined;
}

export interface Generated {
  readonly stopType: "eos" | "limit" | "word" | "none";
  readonly stoppingWord: string;
  /** The context was full. */
  readonly truncated: boolean;
  readonly hasNewLine: boolean;
  readonly tokensPredicted: number;
  readonly cachedTokens: number;
  readonly promptMs: number;
  readonly predictedMs: number;
}

export async function generate(
  slot: Slot,
  attempt: Attempt,
  pieces: Pieces,
  sink: Sink,
  signal: AbortSignal,
): Promise<Generated> {
  const startedAt = performance.now();
  const { prompt } = attempt;
  const room = slot.sequence.context.contextSize - prompt.length;
  const maxTokens = attempt.maxTokens < 0 ? room : Math.min(room, Math.max(1, attempt.maxTokens));
  const cachedTokens = await prepare(slot, attempt);
  Object.assign(slot, {
    promptTokens: prompt.length,
    cachedTokens,
    tokensPredicted: 0,
    tokensLeft: maxTokens,
  });
  const rest = await prefill(slot, prompt.slice(cachedTokens), signal);
  const text = new PieceFeed(pieces);
  const stops = new StopStrings(attempt.stop);
  const recent = prompt.slice(-attempt.sampling.repeatLastN || prompt.length);
  let count = 0;
  let stopType: Generated["stopType"] = "none";
  let firstAt = 0;
  let hasNewLine = false;
  const options = { ...samplerOptions(attempt.sampling, recent), ...grammarOf(attempt) };
  const tokens = slot.sequence.evaluateWithMetadata(rest as Token[], {}, options);
  try {
    while (stopType === "none" && !signal.aborted) {
      const next = await tokens.next();
      if (next.done === true) break;
      const id: number = next.value.token;
      if (count++ === 0) firstAt = performance.now();
      recent.push(id);
      const piece = pieces.of(id);
      if (signal.aborted) break;
      if (piece.endsText) stopType = "eos";
      const certain = stops.push(piece.endsText ? text.flush() : text.push(id, piece));
      if (stops.found !== "") stopType = "word";
      else if (stopType === "none" && count >= maxTokens) stopType = "limit";
      hasNewLine ||= certain.includes("\n");
      slot.tokensPredicted = count;
      slot.tokensLeft = maxTokens - count;
      sink.write(id, certain, count);
      if (sink.full !== undefined) await sink.full;
    }
    if (stops.found === "" && !signal.aborted) {
      const left = stops.push(text.flush()) + stops.flush();
      if (stops.found !== "") stopType = "word";
      if (left !== "") sink.write(-1, left, count);
    }
  } finally {
    await tokens.return();
  }
  const endedAt = performance.now();
  return {
    stopType,
    stoppingWord: stops.found,
    hasNewLine,
    truncated: stopType === "limit" && count >= room,
    tokensPredicted: count,
    cachedTokens,
    promptMs: (firstAt || endedAt) - startedAt,
    predictedMs: firstAt === 0 ? 0 : endedAt - firstAt,
  };
}

/** Leaves in the slot what may be reused of it, and says how many tokens that is. */
async function prepare({ sequence }: Slot, { prompt, reuseCache }: Attempt): Promise<number> {
  if (!reuseCache) {
    if (sequence.nextTokenIndex > 0) await sequence.clearHistory();
    return 0;
  }
  // The last token is always evaluated, since its logits choose the next one. Nothing is ever shifted.
  await sequence.adaptStateToTokens(prompt.slice(0, -1) as Token[], false);
  return sequence.nextTokenIndex;
}

/** Feeds whole batches, so that the arithmetic is that of one evaluation; gives back what is left for it. */
async function prefill({ sequence }: Slot, tokens: readonly number[], signal: AbortSignal) {
  const { batchSize } = sequence.context;
  let at = 0;
  for (; tokens.length - at > batchSize; at += batchSize) {
    signal.throwIfAborted();
    await sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(at, at + batchSize) as Token[]);
  }
  signal.throwIfAborted();
  return tokens.slice(at);
}

function grammarOf({ grammar }: Attempt) {
  return grammar === undefined ? {} : { grammarEvaluationState: grammar };
}
