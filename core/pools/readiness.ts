// What a pool can do for a new task now: serve it, promise it soon, or not, and in which words that is said.

import type { PreparationStep } from "@llama-orch/contract";
import { limits } from "../limits.ts";
import { isDoubted, isHeard, isUp } from "../placement/candidates.ts";
import type { Pool, Replica, State } from "../state.ts";
import { breakerState } from "./breaker.ts";

export type Readiness =
  | { readonly kind: "serving" }
  | { readonly kind: "coming"; readonly inMs: number }
  | { readonly kind: "draining" }
  | { readonly kind: "open"; readonly inMs: number }
  | { readonly kind: "down" };

const serving: Readiness = { kind: "serving" };

export function readinessOf(state: State, nowMs: number, pool: Pool): Readiness {
  if (pool.draining !== undefined) return { kind: "draining" };
  if (breakerState(pool.breaker, nowMs) === "open") {
    return { kind: "open", inMs: (pool.breaker.openUntilMs as number) - nowMs };
  }
  let inMs = Infinity;
  for (const replica of pool.replicas.values()) {
    if (isUp(state, pool, replica)) return serving;
    if (isHeard(state, replica)) inMs = Math.min(inMs, comingInMs(nowMs, replica));
  }
  return inMs < limits.startingReplicaMs ? { kind: "coming", inMs } : { kind: "down" };
}

/**
 * One that starts or loads without saying for how long is expected; one that backs off must say until when;
 * one in doubt gets its next chance soon.
 */
export function comingInMs(nowMs: number, replica: Replica): number {
  const { status, readyAtMs, doubtedUntilMs } = replica;
  if (isDoubted(nowMs, replica)) return (doubtedUntilMs as number) - nowMs;
  const expected = status === "starting" || status === "loading";
  if (!expected && status !== "backing_off") return Infinity;
  if (readyAtMs === undefined) return expected ? 0 : Infinity;
  return Math.max(0, readyAtMs - nowMs);
}

export function lastErrorOf(pools: readonly Pool[]): string | undefined {
  const replicas = pools.flatMap((pool) => [...pool.replicas.values()]);
  return replicas.find((replica) => replica.lastError !== undefined)?.lastError;
}

const nothing: readonly PreparationStep[] = [];

/** What a task has to wait for besides its turn. */
export function preparationOf(pool: Pool, readiness: Readiness): readonly PreparationStep[] {
  if (readiness.kind !== "coming") return nothing;
  return [
    {
      id: `warmup-${pool.id}`,
      kind: "pool_warmup",
      group: "pool",
      description: `Pool ${pool.id} is loading ${pool.modelRef}.`,
      estimated_ms: Math.round(readiness.inMs),
      status: "running",
    },
  ];
}
