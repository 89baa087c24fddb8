// A canary gets a fixed share of sessions, the same session always the same model, and every task that
// carries its label. Retiring the canary, or reloading its pool with the previous model, sends everybody back
// in one move. A canary that cannot take a task sends nobody away: the main pool has it then.

import type { Task } from "@llama-orch/contract";
import { stableHash } from "../placement/replica-set.ts";
import { sessionKey } from "../sessions.ts";
import type { CanarySettings } from "../settings.ts";
import type { State } from "../state.ts";
import { readinessOf } from "./readiness.ts";

/** The model a task really goes to. */
export function modelFor(state: State, task: Task): string {
  for (const pool of state.pools.values()) {
    const { canary } = pool.settings;
    if (canary === undefined || pool.modelRef !== task.modelRef) continue;
    if (isFor(canary, task) && mayServe(state, canary.modelRef, task)) return canary.modelRef;
  }
  return task.modelRef;
}

function isFor({ percent, label }: CanarySettings, task: Task): boolean {
  if (label !== undefined && task.label === label) return true;
  return inShare(sessionKey(task.tenantId, task.sessionId), percent);
}

/** A pool that would admit the task: of its engine, strict if it must be, and up or coming. */
function mayServe(state: State, modelRef: string, { engine, determinism }: Task): boolean {
  const life = state.models.get(modelRef)?.state ?? "Active";
  if (life !== "Active" && life !== "Canary") return false;
  for (const pool of state.pools.values()) {
    const { settings } = pool;
    if (pool.modelRef !== modelRef || settings.engine !== engine) continue;
    if (determinism === "strict" && settings.determinism !== "strict") continue;
    const { kind } = readinessOf(state, state.nowMs, pool);
    if (kind === "serving" || kind === "coming") return true;
  }
  return false;
}

export function inShare(session: string, percent: number): boolean {
  return Number.parseInt(stableHash(session).slice(0, 8), 16) % 10_000 < percent * 100;
}
