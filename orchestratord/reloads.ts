// Reloads that somebody waits for: the core says when a pool is empty, whoever runs its engines swaps the
// model, and the core's answer goes to everybody who asked for that pool.

import assert from "node:assert/strict";
import { OrchError, type ReloadReply } from "@llama-orch/contract";
import type { AnswerReload, SwapModel } from "@llama-orch/core";
import type { Happening } from "./loop.ts";

/** Whoever runs the engines of a pool. */
export interface ModelSwapper {
  /** Whether it runs the engines of this pool; absent: those of every pool. */
  runs?(poolId: string): boolean;
  /** Serves the new model, or again the old one; never throws. */
  swap(poolId: string, fromModelRef: string, toModelRef: string): Promise<SwapResult>;
}

export interface SwapResult {
  readonly ok: boolean;
  readonly engineVersion: string | null;
  readonly error?: string;
}

interface Waiter {
  resolve(reply: ReloadReply): void;
  reject(error: unknown): void;
}

export class Reloads {
  readonly #swapper: ModelSwapper | undefined;
  readonly #post: (happening: Happening) => void;
  /** By pool, in the order they asked; the core answers in that order. */
  readonly #waiters = new Map<string, Waiter[]>();

  /** @param swapper absent: nobody here runs any engine */
  constructor(swapper: ModelSwapper | undefined, post: (happening: Happening) => void) {
    this.#swapper = swapper;
    this.#post = post;
  }

  /** Whether anybody could swap the model of a pool, were it empty. */
  canSwap(poolId: string): boolean {
    return this.#swapper !== undefined && (this.#swapper.runs?.(poolId) ?? true);
  }

  request(poolId: string, modelRef: string, drainDeadlineMs: number): Promise<ReloadReply> {
    return new Promise((resolve, reject) => {
      const waiters = this.#waiters.get(poolId) ?? [];
      this.#waiters.set(poolId, [...waiters, { resolve, reject }]);
      this.#post({ type: "ReloadRequested", poolId, modelRef, drainDeadlineMs });
    });
  }

  /** Engines that nobody here runs keep their model: asking for it brings their drained pool back. */
  swap({ poolId, fromModelRef, toModelRef }: SwapModel): void {
    const swapper = this.#swapper;
    if (swapper === undefined || !this.canSwap(poolId)) {
      assert(fromModelRef === toModelRef, `Nobody could give pool ${poolId} another model.`);
      this.#post({ type: "ReloadEnded", poolId, ok: true, engineVersion: null });
      return;
    }
    void swapper.swap(poolId, fromModelRef, toModelRef).then((result) => {
      this.#post({ type: "ReloadEnded", poolId, ...result });
    });
  }

  /**
   * A reload that is refused because another one runs is answered at once, and was asked for last.
   *
   * @param kept that it was done, which the answer waits for; the core goes on at once
   */
  answer(
    { poolId, ok, modelRef, engineVersion, durationMs, error }: AnswerReload,
    kept: Promise<void> = Promise.resolve(),
  ): void {
    const waiters = this.#waiters.get(poolId) ?? [];
    const waiter = waiters.length > 1 && durationMs === 0 ? waiters.pop() : waiters.shift();
    if (waiters.length === 0) this.#waiters.delete(poolId);
    if (waiter === undefined) return;
    if (ok) {
      const reply = {
        pool_id: poolId,
        model_ref: modelRef,
        engine_version: engineVersion,
        duration_ms: durationMs,
      };
      kept.then(() => waiter.resolve(reply), waiter.reject);
    } else {
      const why = error ?? "The new model did not come up.";
      waiter.reject(new OrchError("RELOAD_CONFLICT", why, { pool_id: poolId, last_error: why }));
    }
  }
}
