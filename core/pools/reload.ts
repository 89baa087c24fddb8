// Reloading a pool: drain, swap the model, and serve it, or serve the old one again. A pool that serves the
// wanted model already is left alone; one that is drained, stopped or failed is brought back by asking for
// its own model.

import type { ReloadEnded, ReloadRequested } from "../events.ts";
import type { Core, Pool } from "../state.ts";
import { closedBreaker } from "./breaker.ts";
import { beginDrain, beginSwap, forgetRetired } from "./drain.ts";
import { readinessOf } from "./readiness.ts";
import { abandonSet, reseat } from "./replicas.ts";

export function reloadRequested(core: Core, event: ReloadRequested): void {
  const { poolId, modelRef } = event;
  const pool = core.state.pools.get(poolId);
  if (pool !== undefined && !pool.retired) return reload(core, pool, event);
  const error = `Pool ${poolId} is not configured and cannot be reloaded.`;
  const result = { ok: false, engineVersion: null, durationMs: 0, error };
  core.emit({ type: "AnswerReload", poolId, modelRef, ...result });
}

function reload(core: Core, pool: Pool, event: ReloadRequested): void {
  const { state, nowMs } = core;
  if (pool.reload !== undefined) {
    const error = `Pool ${pool.id} is being reloaded with ${pool.reload.modelRef} already.`;
    return answer(core, pool, { ok: false, engineVersion: versionOf(pool), durationMs: 0, error });
  }
  const serving = readinessOf(state, nowMs, pool).kind === "serving";
  if (serving && pool.modelRef === event.modelRef) {
    return answer(core, pool, { ok: true, engineVersion: versionOf(pool), durationMs: 0 });
  }
  const wasDraining = pool.draining !== undefined;
  const { modelRef } = event;
  pool.reload = { modelRef, sinceMs: nowMs, wasDraining, drainAsked: false, swapping: false };
  if (pool.draining?.ended === true) beginSwap(core, pool);
  else beginDrain(core, pool, event.drainDeadlineMs);
}

export function reloadEnded(core: Core, pool: Pool, event: ReloadEnded): void {
  const { reload } = pool;
  if (reload === undefined || !reload.swapping) return;
  pool.reload = undefined;
  const staysDrained = reload.drainAsked || (reload.wasDraining && !event.ok);
  if (!staysDrained) pool.draining = undefined;
  if (event.ok) {
    pool.modelRef = reload.modelRef;
    Object.assign(pool.breaker, closedBreaker());
    pool.restarts.length = 0;
    for (const replica of pool.replicas.values()) reseat(core, pool, replica);
  }
  answer(core, pool, {
    ok: event.ok,
    engineVersion: event.engineVersion,
    durationMs: core.nowMs - reload.sinceMs,
    ...(event.error !== undefined && { error: event.error }),
  });
  releaseSets(core);
}

/** Nothing moves while a pool swaps its model; to be called when that pool is done or gone. */
export function releaseSets(core: Core): void {
  for (const setId of [...core.state.sets.keys()]) abandonSet(core, setId);
  for (const pool of [...core.state.pools.values()]) forgetRetired(core, pool);
}

/** Who has not been heard of by now does not come; what waits for it goes elsewhere or ends. */
export function giveUpUnseen(core: Core): void {
  for (const set of core.state.sets.values()) set.unseen = false;
  releaseSets(core);
}

/** The pool is gone from the configuration while somebody waits for its reload. */
export function abandonReload(core: Core, pool: Pool): void {
  const { reload } = pool;
  if (reload === undefined) return;
  pool.reload = undefined;
  const error = `Pool ${pool.id} is no longer configured.`;
  const durationMs = core.nowMs - reload.sinceMs;
  answer(core, pool, { ok: false, engineVersion: versionOf(pool), durationMs, error });
}

function versionOf(pool: Pool): string | null {
  const [replica] = pool.replicas.values();
  return replica?.facts.engineVersion ?? null;
}

function answer(
  core: Core,
  pool: Pool,
  result: { ok: boolean; engineVersion: string | null; durationMs: number; error?: string },
): void {
  core.emit({ type: "AnswerReload", poolId: pool.id, modelRef: pool.modelRef, ...result });
}
