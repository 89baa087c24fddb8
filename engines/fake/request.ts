// Reads the body of a completion as llama-server would, and refuses what it would refuse, with its statuses
// and in its words.

import type { CompletionRequest } from "./completion.ts";
import { tokenize, vocabulary } from "./vocabulary.ts";

export interface Refusal {
  readonly status: number;
  readonly type: string;
  readonly message: string;
  readonly more?: Record<string, number>;
}

type Read = Pick<CompletionRequest, "prompt" | "maxTokens" | "seed" | "temperature" | "sampling" | "stop">;

const numbers = ["n_predict", "seed", "temperature", "top_k", "top_p", "min_p", "repeat_penalty"] as const;
/** What changes which token is drawn, beside the temperature and the seed. */
const weighed = ["top_k", "top_p", "min_p", "repeat_penalty", "presence_penalty", "frequency_penalty"];

export function readCompletion(body: Record<string, unknown>, ctx: number): Read | Refusal {
  const wrong = numbers.find((name) => body[name] !== undefined && typeof body[name] !== "number");
  if (wrong !== undefined) return invalid(`Field '${wrong}': type must be number.`);
  if (body.json_schema !== undefined || body.grammar !== undefined) {
    return invalid("This fake engine has no grammars; leave json_schema and grammar out.");
  }
  const prompt = promptOf(body.prompt);
  if (prompt === undefined) return invalid('"prompt" is missing, or neither a string nor a list of tokens.');
  if (prompt.some((id) => id < 0 || id >= vocabulary)) return invalid("Prompt contains invalid tokens");
  if (prompt.length >= ctx) {
    const message = `request (${prompt.length} tokens) exceeds the available context size (${ctx} tokens), try increasing it`;
    const more = { n_prompt_tokens: prompt.length, n_ctx: ctx };
    return { status: 400, type: "exceed_context_size_error", message, more };
  }
  const maxTokens = (body.n_predict as number | undefined) ?? -1;
  if (maxTokens < -1) {
    return invalid(
      `Field 'n_predict': Value must be between -1 <= value <= 2147483647, but got ${maxTokens}`,
    );
  }
  const { stop = [] } = body;
  return {
    prompt,
    maxTokens: maxTokens === 0 ? 1 : maxTokens,
    seed: ((body.seed as number | undefined) ?? 0) >>> 0,
    temperature: (body.temperature as number | undefined) ?? 0.8,
    sampling: JSON.stringify(weighed.map((name) => body[name])),
    stop: typeof stop === "string" ? [stop] : (stop as string[]),
  };
}

function promptOf(prompt: unknown): number[] | undefined {
  if (typeof prompt === "string") return tokenize(prompt, true, true);
  if (!Array.isArray(prompt)) return undefined;
  return prompt.flatMap((item: unknown, index) => {
    if (typeof item === "number") return [item];
    return typeof item === "string" ? tokenize(item, index === 0, true) : [];
  });
}

export function invalid(message: string): Refusal {
  return { status: 400, type: "invalid_request_error", message };
}
