// The breaker of a pool: faults in a row open it, then nothing is sent until a pause is over, then one task
// may try. It protects waiting tasks from spending their tries on an engine that cannot serve.

import type { Breaker, Core, Pool } from "../state.ts";

export type BreakerState = "closed" | "half-open" | "open";

export function closedBreaker(): Breaker {
  return { faults: 0, openUntilMs: undefined, trial: undefined };
}

export function breakerState(breaker: Breaker, nowMs: number): BreakerState {
  if (breaker.openUntilMs === undefined) return "closed";
  return nowMs < breaker.openUntilMs ? "open" : "half-open";
}

/** A half-open breaker lets one task through at a time. */
export function maySend(breaker: Breaker, nowMs: number, jobId: string): boolean {
  const state = breakerState(breaker, nowMs);
  return state === "closed" || (state === "half-open" && (breaker.trial ?? jobId) === jobId);
}

/** To be called for every attempt that is sent to the pool. */
export function noteSent(breaker: Breaker, nowMs: number, jobId: string): void {
  if (breakerState(breaker, nowMs) === "half-open") breaker.trial = jobId;
}

export function noteSuccess(core: Core, pool: Pool): void {
  const { breaker } = pool;
  if (breaker.openUntilMs !== undefined)
    core.emit({ type: "Note", about: "breaker-closed", poolId: pool.id });
  breaker.faults = 0;
  breaker.openUntilMs = undefined;
  breaker.trial = undefined;
}

/** A fault of the engine; preemption, drains and cancels are none. */
export function noteFault(core: Core, pool: Pool, jobId: string): void {
  const { breaker } = pool;
  const { threshold, openMs } = pool.settings.breaker;
  const failedTrial = breaker.trial === jobId;
  breaker.faults++;
  if (!failedTrial && (breaker.openUntilMs !== undefined || breaker.faults < threshold)) return;
  breaker.trial = undefined;
  breaker.openUntilMs = core.nowMs + openMs;
  core.emit({ type: "Note", about: "breaker-opened", poolId: pool.id });
  core.emit({ type: "SetTimer", timer: `breaker ${pool.id}`, atMs: breaker.openUntilMs });
}

/** The trial went away without telling anything: another may try. */
export function forgetTrial(breaker: Breaker, jobId: string): void {
  if (breaker.trial === jobId) breaker.trial = undefined;
}
