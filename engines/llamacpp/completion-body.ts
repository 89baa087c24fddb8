// The body of a completion for llama-server. Every field that chooses a token is said, the order of the
// samplers too: defaults differ between versions, and a model file may bring its own.

import type { AttemptRequest } from "../adapter.ts";

/** 4294967295 means "take a random one" to llama-server; the seeds below it are its whole range. */
const seeds = 4_294_967_295;

/** The engine's own order; it decides together with the values which token is drawn. */
const samplers = [
  "penalties",
  "dry",
  "top_n_sigma",
  "top_k",
  "typ_p",
  "top_p",
  "min_p",
  "xtc",
  "temperature",
] as const;

export const pingSeconds = 10;

export type CompletionBody = ReturnType<typeof completionBody>;

export function completionBody(attempt: AttemptRequest, prompt: string | readonly number[]) {
  const { sampling } = attempt;
  return {
    prompt,
    stream: true,
    return_tokens: true,
    cache_prompt: attempt.reuseCache,
    n_predict: attempt.maxTokens,
    seed: attempt.seed % seeds,
    temperature: sampling.temperature,
    top_k: sampling.top_k,
    top_p: sampling.top_p,
    min_p: sampling.min_p,
    repeat_penalty: sampling.repeat_penalty,
    repeat_last_n: 64,
    presence_penalty: sampling.presence_penalty,
    frequency_penalty: sampling.frequency_penalty,
    stop: sampling.stop,
    ...(sampling.json_schema !== undefined && { json_schema: sampling.json_schema }),
    // What a request cannot ask for stands at its neutral value.
    typical_p: 1,
    top_n_sigma: -1,
    xtc_probability: 0,
    xtc_threshold: 0.1,
    dry_multiplier: 0,
    dynatemp_range: 0,
    dynatemp_exponent: 1,
    mirostat: 0,
    mirostat_tau: 5,
    mirostat_eta: 0.1,
    n_probs: 0,
    min_keep: 0,
    ignore_eos: false,
    samplers,
    timings_per_token: false,
    sse_ping_interval: pingSeconds,
  };
}
