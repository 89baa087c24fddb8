// From llama-server's sampling fields to those of node-llama-cpp. What this engine cannot do is refused by
// name unless it is at its neutral value, so that no wish about the text is silently dropped.

import type { SequenceEvaluateOptions, Token } from "node-llama-cpp";
import { type Body, integerIn, isObject, numberIn } from "./fields.ts";
import { invalid } from "./refusal.ts";

export interface Sampling {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repeatPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** How many of the last tokens, the prompt's included, the penalties see. */
  readonly repeatLastN: number;
  readonly seed: number;
}

/** llama-server's own word for "choose one for me", which -1 wraps to. */
const randomSeed = 0xffff_ffff;
const int32Max = 0x7fff_ffff;

export function readSampling(body: Body): Sampling {
  for (const [name, isNeutral] of Object.entries(neutral)) {
    const value = body[name] ?? undefined;
    if (value === undefined || isNeutral(value)) continue;
    throw invalid(`Field '${name}': ${JSON.stringify(value)} is not supported by the embedded engine`);
  }
  return {
    temperature: Math.max(0, numberIn(body, "temperature", 0.8)),
    topK: integerIn(body, "top_k", 40, -int32Max, int32Max),
    topP: unit(numberIn(body, "top_p", 0.95)),
    minP: unit(numberIn(body, "min_p", 0.05)),
    repeatPenalty: numberIn(body, "repeat_penalty", 1),
    presencePenalty: numberIn(body, "presence_penalty", 0),
    frequencyPenalty: numberIn(body, "frequency_penalty", 0),
    repeatLastN: integerIn(body, "repeat_last_n", 64, 0, 1_048_576),
    seed: seedOf(numberIn(body, "seed", randomSeed)),
  };
}

/** @param recent the tokens so far, the prompt's included; read anew before each token */
export function samplerOptions(sampling: Sampling, recent: readonly number[]): SequenceEvaluateOptions {
  const { temperature, topP, minP, seed, repeatPenalty, presencePenalty, frequencyPenalty } = sampling;
  const window = sampling.repeatLastN;
  const chain = { temperature, topK: Math.max(0, sampling.topK), topP, minP, seed, yieldEogToken: true };
  const isSilent = repeatPenalty === 1 && presencePenalty === 0 && frequencyPenalty === 0;
  if (isSilent || window === 0) return chain;
  const punishTokens = () => recent.slice(-window) as Token[];
  const penalties = { penalty: repeatPenalty, presencePenalty, frequencyPenalty };
  return { ...chain, repeatPenalty: { punishTokens, maxPunishTokens: window, ...penalties } };
}

/** Seeds wrap as llama-server's do. A random one is chosen here, so that the answer can name it. */
function seedOf(value: number): number {
  const seed = Number(BigInt.asUintN(32, BigInt(Math.trunc(value))));
  return seed === randomSeed ? Math.floor(Math.random() * randomSeed) : seed;
}

function unit(value: number): number {
  return Math.min(1, Math.max(0, value));
}

const is = (neutralValue: unknown) => (value: unknown) => value === neutralValue;
const atMostZero = (value: unknown) => typeof value === "number" && value <= 0;
const empty = (value: unknown) =>
  value === "" ||
  (Array.isArray(value) && value.length === 0) ||
  (isObject(value) && Object.keys(value).length === 0);

/** llama-server's order, which is also the order in which node-llama-cpp applies what it has. */
const samplers = '["penalties","dry","top_n_sigma","top_k","typ_p","top_p","min_p","xtc","temperature"]';

/** Fields that change the answer and that this engine does not have, with what leaves them switched off. */
const neutral: Readonly<Record<string, (value: unknown) => boolean>> = {
  typical_p: is(1),
  top_n_sigma: atMostZero,
  xtc_probability: is(0),
  dynatemp_range: is(0),
  mirostat: is(0),
  dry_multiplier: is(0),
  adaptive_target: (value) => typeof value === "number" && value < 0,
  samplers: (value) => JSON.stringify(value) === samplers,
  min_keep: is(0),
  n_probs: is(0),
  logprobs: (value) => value === 0 || value === false,
  post_sampling_probs: is(false),
  logit_bias: empty,
  ignore_eos: is(false),
  grammar: empty,
  grammar_lazy: is(false),
  grammar_triggers: empty,
  preserved_tokens: empty,
  lora: empty,
  n: is(1),
  n_cmpl: is(1),
  n_indent: is(0),
  n_cache_reuse: is(0),
  t_max_predict_ms: atMostZero,
  backend_sampling: is(false),
  return_progress: is(false),
  timings_per_token: is(false),
  response_fields: empty,
};

export const unsupportedFields: readonly string[] = Object.keys(neutral);
