// A canary gets a fixed share of sessions: the same session always the same model. Retiring the canary, or
// reloading its pool with the previous model, sends everybody back in one move.

import { stableHash } from "../placement/replica-set.ts";
import type { Pool, State } from "../state.ts";

/** The model a session's tasks really go to. */
export function modelFor(state: State, modelRef: string, sessionKey: string): string {
  for (const pool of state.pools.values()) {
    const { canary } = pool.settings;
    if (canary === undefined || pool.modelRef !== modelRef) continue;
    if (mayServe(state, canary.modelRef) && inShare(sessionKey, canary.percent)) return canary.modelRef;
  }
  return modelRef;
}

function mayServe(state: State, modelRef: string): boolean {
  const life = state.models.get(modelRef)?.state ?? "Active";
  if (life !== "Active" && life !== "Canary") return false;
  return [...state.pools.values()].some(
    (pool: Pool) => pool.modelRef === modelRef && pool.draining === undefined,
  );
}

export function inShare(sessionKey: string, percent: number): boolean {
  return Number.parseInt(stableHash(sessionKey).slice(0, 8), 16) % 10_000 < percent * 100;
}
