// At what rate a queue really drains, and so how long it takes until some more have left it. It counts where
// the outlook of the slots says nothing.

import { limits } from "../limits.ts";
import { overdueShare } from "./eta.ts";
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

/**
 * Until so many have left, from now. What was declared counts until departures were watched for at least as
 * long. The gap that a caller comes into is longer than the mean, since more callers come into a long one: it
 * is the mean of the squares over the mean, in which departures at one time have no weight.
 */
export function drainInMs(drain: Drain, nowMs: number, places: number, declaredGapMs: number): number {
  const { value, variance, count } = drain.gap;
  const measured = value > 0 && value * count >= declaredGapMs;
  const meanMs = measured ? value : declaredGapMs;
  const currentMs = measured ? value + variance / value : declaredGapMs;
  const sinceMs = drain.lastAtMs === null ? 0 : nowMs - drain.lastAtMs;
  return Math.max(currentMs - sinceMs, sinceMs * overdueShare) + (places - 1) * meanMs;
}

export function clampRetry(ms: number): number {
  return Math.min(limits.retryAfterMaxMs, Math.max(limits.retryAfterMinMs, Math.ceil(ms)));
}
