// The texts that fake engines make. On a strict pool a token is a pure function of what computes it, the seed
// and its index. On a best-effort pool it depends on the prompt, on all text before it and on the attempt, so
// that a continuation from a wrong place can be told from a right one. Some tokens have no visible text.

import { hash } from "./random.ts";

export interface Prompt {
  readonly digest: number;
  readonly seed: number;
  readonly maxTokens: number;
}

/** What decides the arithmetic of a strict pool, in one number. */
export function computeOf(model: string, engineVersion: string, fingerprint: string): number {
  return hash(model, engineVersion, fingerprint);
}

const visible = (h: number): string => (h % 8 === 0 ? "" : h.toString(36));

export function strictToken(compute: number, { seed }: Prompt, index: number): string {
  return visible(hash(compute, seed, index));
}

/** How many tokens the undisturbed stream has. */
export function lengthOf({ digest, seed, maxTokens }: Prompt, spread: number): number {
  const share = 1 - spread * (hash(digest, seed, 7) / 2 ** 32);
  return Math.max(1, Math.min(maxTokens, Math.round(maxTokens * share)));
}

/** The frames of the undisturbed strict stream. */
export function strictFrames(compute: number, prompt: Prompt, spread: number): string[] {
  const tokens = Array.from({ length: lengthOf(prompt, spread) }, (_, i) => strictToken(compute, prompt, i));
  return tokens.filter((text) => text !== "");
}

/** Text so far, in one number. */
export function extend(prefix: number, text: string): number {
  return hash(prefix, text);
}

export function textDigest(frames: readonly string[]): number {
  let prefix = 0;
  for (const text of frames) prefix = extend(prefix, text);
  return prefix;
}

/** @param hidden tokens without text since the last visible one */
export function freeToken(prompt: Prompt, prefix: number, attempt: number, hidden: number): string {
  return visible(hash(prompt.digest, prefix, attempt, hidden));
}

/** The only visible text that may follow a prefix in an attempt. */
export function nextFreeFrame(prompt: Prompt, prefix: number, attempt: number): string {
  for (let hidden = 0; ; hidden++) {
    const text = freeToken(prompt, prefix, attempt, hidden);
    if (text !== "") return text;
  }
}
