// A configuration arrives: pools appear, change or go, and queues are ordered by the new weights. Tasks that
// were accepted stay accepted; those of a pool that is gone look for another home.

import { newDrain } from "./estimate/backoff.ts";
import { fairQueue, joinSet, leaveSet } from "./placement/replica-set.ts";
import { closedBreaker } from "./pools/breaker.ts";
import { abandonReload, releaseSets } from "./pools/reload.ts";
import { loseRunning, reseat } from "./pools/replicas.ts";
import { changeObjectives } from "./pools/slo.ts";
import { Fifo } from "./queue/fifo.ts";
import type { QueueHandle } from "./queue/queue.ts";
import type { PoolSettings, Settings } from "./settings.ts";
import type { Core, Live, Pool, ReplicaSet, Waiting } from "./state.ts";

export function configure(core: Core, settings: Settings): void {
  const { state } = core;
  const before = state.settings.slo.classes;
  state.settings = settings;
  changeObjectives(core, before);
  const wanted = new Set(settings.pools.map((pool) => pool.id));
  for (const pool of [...state.pools.values()]) if (!wanted.has(pool.id)) retirePool(core, pool);
  for (const pool of settings.pools) {
    const known = state.pools.get(pool.id);
    if (known === undefined) state.pools.set(pool.id, newPool(pool));
    else changePool(core, known, pool);
  }
  for (const set of state.sets.values()) reorder(core, set);
}

export function newPool(settings: PoolSettings): Pool {
  return {
    id: settings.id,
    settings,
    modelRef: settings.modelRef,
    draining: undefined,
    reload: undefined,
    replicas: new Map(),
    departed: new Set(),
    waiting: { interactive: new Fifo(), batch: new Fifo() },
    waitingTokens: 0,
    waitingBodyBytes: 0,
    drain: newDrain(),
    breaker: closedBreaker(),
    preemptions: [],
    restarts: [],
    retired: false,
  };
}

/** The model a reload put there stays until the configuration itself names another one. */
function changePool(core: Core, pool: Pool, settings: PoolSettings): void {
  if (pool.settings.modelRef !== settings.modelRef) pool.modelRef = settings.modelRef;
  pool.settings = settings;
  if (pool.retired) return bringBack(core, pool);
  for (const replica of pool.replicas.values()) reseat(core, pool, replica);
}

/** Configured again before its last attempt has ended; its replicas count once they report. */
function bringBack(core: Core, pool: Pool): void {
  pool.retired = false;
  pool.draining = undefined;
  for (const replica of pool.replicas.values()) joinSet(core.state, pool, replica);
}

/**
 * Its attempts are lost and go on elsewhere; its waiting tasks move or end. It is gone once its slots are
 * free.
 */
function retirePool(core: Core, pool: Pool): void {
  if (pool.retired) return;
  pool.retired = true;
  abandonReload(core, pool);
  pool.draining = { sinceMs: core.nowMs, deadlineAtMs: core.nowMs, ended: true, forced: true };
  for (const replica of pool.replicas.values()) {
    loseRunning(core, replica, "drain");
    replica.status = "stopped";
    leaveSet(core.state, replica);
  }
  // Its own sets, and those that were left alone while it swapped its model.
  releaseSets(core);
}

/** The same tasks in the same order, charged from now on by the new weights. */
function reorder(core: Core, set: ReplicaSet): void {
  const [first] = [...set.replicas, ...set.queue.items()];
  set.settings = core.state.pools.get(first?.poolId ?? "")?.settings ?? set.settings;
  const waiting: Live[] = [...set.queue.items()];
  const queue = fairQueue(set.settings);
  const handles = queue.restore(set.queue.snapshot(), waiting);
  set.queue = queue;
  for (const [i, live] of waiting.entries()) {
    (live.place as Waiting).handle = handles[i] as QueueHandle<Live>;
  }
}
