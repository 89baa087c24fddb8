// How long a refused caller should wait: until the queue has room for it at the rate at which it really
// drains.

import { limits } from "../limits.ts";
import { average, type Mean, newMean } from "./trend.ts";

/** Departures of a queue while it had work: the moving mean of the time between two of them. */
export interface Drain {
  readonly gap: Mean;
  /** Null while the queue is empty, since then time between departures says nothing. */
  lastAtMs: number | null;
}

export function newDrain(): Drain {
  return { gap: newMean(), lastAtMs: null };
}

export function departed(drain: Drain, nowMs: number, stillWaiting: boolean): void {
  if (drain.lastAtMs !== null) average(drain.gap, nowMs - drain.lastAtMs);
  drain.lastAtMs = stillWaiting ? nowMs : null;
}

/** `places` must leave before there is room. `declaredGapMs` counts until something was measured. */
export function retryAfterMs(drain: Drain, places: number, declaredGapMs: number): number {
  const gapMs = drain.gap.count > 0 ? drain.gap.value : declaredGapMs;
  return clampRetry(Math.ceil(gapMs * places));
}

export function clampRetry(ms: number): number {
  return Math.min(limits.retryAfterMaxMs, Math.max(limits.retryAfterMinMs, Math.ceil(ms)));
}
