// Draining a pool: it takes no more work at once, what waits goes to its siblings, and what still runs at the
// deadline is lost there and resumed elsewhere. A drained pool stays so until it is reloaded.

import { stop } from "../attempts/end.ts";
import { countIn, waitingIn } from "../queue/waiting.ts";
import type { Core, Live, Pool, ReplicaSet } from "../state.ts";

export const drainTimer = (poolId: string): string => `drain ${poolId}`;

/** An operator wants the pool drained: a reload that goes on must not end that when it ends. */
export function drainRequested(core: Core, pool: Pool, deadlineMs: number): void {
  if (pool.reload !== undefined) pool.reload.drainAsked = true;
  beginDrain(core, pool, deadlineMs);
}

export function beginDrain(core: Core, pool: Pool, deadlineMs: number): void {
  const deadlineAtMs = core.nowMs + deadlineMs;
  if (pool.draining === undefined) {
    pool.draining = { sinceMs: core.nowMs, deadlineAtMs, ended: false, forced: false };
  } else {
    pool.draining = { ...pool.draining, deadlineAtMs: Math.min(deadlineAtMs, pool.draining.deadlineAtMs) };
  }
  core.emit({ type: "DrainPool", poolId: pool.id, deadlineAtMs: pool.draining.deadlineAtMs });
  handOver(core, pool);
  if (activeIn(pool) === 0) return endDrain(core, pool);
  const atMs = Math.max(pool.draining.deadlineAtMs, core.nowMs);
  core.emit({ type: "SetTimer", timer: drainTimer(pool.id), atMs });
}

/** Waiting tasks that may run in a sibling of their set count there from now on. */
function handOver(core: Core, pool: Pool): void {
  for (const lives of Object.values(pool.waiting)) {
    for (const live of [...lives.items()]) {
      const sibling = siblingFor(core, pool, live);
      if (sibling !== undefined) countIn(core, live, sibling);
    }
  }
}

function siblingFor(core: Core, pool: Pool, live: Live): Pool | undefined {
  if (live.task.placement.mode === "pin") return undefined;
  const set = core.state.sets.get(live.setId) as ReplicaSet;
  const siblings = set.replicas
    .map((replica) => core.state.pools.get(replica.poolId) as Pool)
    .filter((other) => other !== pool && other.draining === undefined);
  return siblings.find((other) => !live.task.placement.avoidPools.includes(other.id));
}

export function drainDeadline(core: Core, pool: Pool): void {
  if (pool.draining === undefined || pool.draining.ended) return;
  pool.draining = { ...pool.draining, forced: activeIn(pool) > 0 };
  for (const replica of pool.replicas.values()) {
    for (const live of replica.running) {
      if (live.place?.kind === "running") stop(core, live, live.place, "drain");
    }
  }
}

/** A pool that the configuration no longer has goes with its last attempt and its last waiting task. */
export function forgetRetired(core: Core, pool: Pool): void {
  const idle = activeIn(pool) === 0 && pool.departed.size === 0 && waitingIn(pool) === 0;
  if (pool.retired && idle) core.state.pools.delete(pool.id);
}

/** To be called whenever an attempt of the pool has ended. */
export function drainProgress(core: Core, pool: Pool): void {
  forgetRetired(core, pool);
  if (pool.draining !== undefined && !pool.draining.ended && activeIn(pool) === 0) endDrain(core, pool);
}

function endDrain(core: Core, pool: Pool): void {
  const draining = pool.draining as NonNullable<Pool["draining"]>;
  draining.ended = true;
  core.emit({ type: "ClearTimer", timer: drainTimer(pool.id) });
  core.emit({
    type: "EndDrain",
    poolId: pool.id,
    forceStopped: draining.forced,
    durationMs: core.nowMs - draining.sinceMs,
    finalLeaseCount: activeIn(pool),
  });
  beginSwap(core, pool);
}

/** A reload waits for the drain; then the engine is told. */
export function beginSwap(core: Core, pool: Pool): void {
  if (pool.reload === undefined || pool.reload.swapping) return;
  pool.reload.swapping = true;
  core.emit({
    type: "SwapModel",
    poolId: pool.id,
    fromModelRef: pool.modelRef,
    toModelRef: pool.reload.modelRef,
  });
}

export function activeIn(pool: Pool): number {
  let active = 0;
  for (const replica of pool.replicas.values()) active += replica.running.size;
  return active;
}
