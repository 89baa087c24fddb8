// Counts what was decoded, under llama-server's names.

import type { Generated } from "./generate.ts";
import type { Slots } from "./slots.ts";

export class Metrics {
  #promptTokens = 0;
  #cachedTokens = 0;
  #promptS = 0;
  #predictedTokens = 0;
  #predictedS = 0;
  #tokensMax = 0;

  count(promptTokens: number, { cachedTokens, tokensPredicted, promptMs, predictedMs }: Generated): void {
    this.#promptTokens += promptTokens - cachedTokens;
    this.#cachedTokens += cachedTokens;
    this.#promptS += promptMs / 1000;
    this.#predictedTokens += tokensPredicted;
    this.#predictedS += predictedMs / 1000;
    this.#tokensMax = Math.max(this.#tokensMax, promptTokens + tokensPredicted);
  }

  print(slots: Slots): string {
    const rows: readonly (readonly [string, "counter" | "gauge", number, string])[] = [
      ["prompt_tokens_total", "counter", this.#promptTokens, "Number of prompt tokens processed."],
      [
        "prompt_tokens_cached_total",
        "counter",
        this.#cachedTokens,
        "Number of prompt tokens found in caches.",
      ],
      ["prompt_seconds_total", "counter", this.#promptS, "Prompt process time"],
      ["tokens_predicted_total", "counter", this.#predictedTokens, "Number of generation tokens processed."],
      ["tokens_predicted_seconds_total", "counter", this.#predictedS, "Predict process time"],
      ["n_tokens_max", "counter", this.#tokensMax, "Largest observed n_tokens."],
      ["prompt_tokens_seconds", "gauge", rate(this.#promptTokens, this.#promptS), "Average prompt tokens/s."],
      [
        "predicted_tokens_seconds",
        "gauge",
        rate(this.#predictedTokens, this.#predictedS),
        "Average generation tokens/s.",
      ],
      ["requests_processing", "gauge", slots.busy, "Number of requests processing."],
      ["requests_deferred", "gauge", slots.deferred, "Number of requests deferred."],
    ];
    const lines = rows.map(
      ([name, kind, value, help]) =>
        `# HELP llamacpp:${name} ${help}\n# TYPE llamacpp:${name} ${kind}\nllamacpp:${name} ${value}\n`,
    );
    return lines.join("");
  }
}

function rate(tokens: number, seconds: number): number {
  return seconds === 0 ? 0 : tokens / seconds;
}
