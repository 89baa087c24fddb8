// Whether and when a failed engine is started again. Failures in a row wait longer and longer; enough of
// them open the breaker, which allows one trial after a long pause; too many restarts in one window end it
// for good. The breaker of the core is another one: it decides whether tasks are sent, this one whether
// processes start.

import type { PoolConfig } from "@llama-orch/contract";
import { type BackoffNumbers, backoffMs } from "./backoff.ts";

export interface RestartNumbers extends BackoffNumbers {
  /** Failures in a row that open the breaker. */
  readonly threshold: number;
  readonly openMs: number;
  /** Serving that long makes a trial a success. */
  readonly stableMs: number;
  readonly maxRestarts: number;
  readonly windowMs: number;
  /** Serving that long makes everything forgotten. */
  readonly resetMs: number;
}

export type Verdict =
  | { readonly kind: "restart"; readonly afterMs: number }
  /** The breaker has opened: one trial after the pause. */
  | { readonly kind: "pause"; readonly afterMs: number }
  | { readonly kind: "give-up"; readonly restarts: number };

export class RestartBreaker {
  readonly #numbers: RestartNumbers;
  readonly #random: () => number;
  #failures = 0;
  #trial = false;
  #restartsMs: number[] = [];

  constructor(numbers: RestartNumbers, random: () => number) {
    this.#numbers = numbers;
    this.#random = random;
  }

  /** The process is gone and nobody wanted that; it had been ready for `servedMs`. */
  failed(nowMs: number, servedMs: number): Verdict {
    const { threshold, openMs, stableMs, resetMs } = this.#numbers;
    if (servedMs >= resetMs) this.forget();
    else if (this.#trial && servedMs >= stableMs) this.#close();
    this.#failures++;
    if (this.#trial || this.#failures >= threshold) {
      this.#trial = true;
      return this.#allowed(nowMs, openMs, "pause");
    }
    return this.#allowed(nowMs, backoffMs(this.#numbers, this.#failures, this.#random), "restart");
  }

  /** Somebody who knows better starts it anew. */
  forget(): void {
    this.#close();
    this.#restartsMs = [];
  }

  #close(): void {
    this.#failures = 0;
    this.#trial = false;
  }

  #allowed(nowMs: number, afterMs: number, kind: "restart" | "pause"): Verdict {
    const { maxRestarts, windowMs } = this.#numbers;
    const atMs = nowMs + afterMs;
    this.#restartsMs = this.#restartsMs.filter((restartMs) => restartMs > atMs - windowMs);
    if (this.#restartsMs.length >= maxRestarts) return { kind: "give-up", restarts: maxRestarts };
    this.#restartsMs.push(atMs);
    return { kind, afterMs };
  }
}

/** As a pool's configuration says them. */
export function restartNumbers(supervision: PoolConfig["supervision"]): RestartNumbers {
  const { initial_ms, max_ms, threshold, open_s, stable_s, max_restarts, window_s, reset_s } = supervision;
  return {
    initialMs: initial_ms,
    maxMs: max_ms,
    threshold,
    openMs: open_s * 1000,
    stableMs: stable_s * 1000,
    maxRestarts: max_restarts,
    windowMs: window_s * 1000,
    resetMs: reset_s * 1000,
  };
}
