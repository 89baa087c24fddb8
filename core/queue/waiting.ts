// Entering and leaving the queue of a set: the one place that keeps a set's order, its pools' counts and the
// deadlines in step.

import { departed } from "../estimate/backoff.ts";
import type { Core, Live, Pool, ReplicaSet, State, Waiting } from "../state.ts";
import type { QueueHandle } from "./queue.ts";

export const deadlineTimer = "deadline";

/** Into its flow, behind what came before. */
export function enqueue(core: Core, set: ReplicaSet, pool: Pool, live: Live): void {
  live.setId = set.id;
  live.poolId = pool.id;
  live.place = placeOf(live, set.queue.push(live), false);
  joinPool(pool, live.place);
  core.state.deadlines.add(live);
  watchDeadline(core, live);
}

/** Into the return lane: ahead of the flows and outside every bound. */
export function enqueueReturned(core: Core, set: ReplicaSet, live: Live): void {
  live.setId = set.id;
  live.place = placeOf(live, set.returns.push(live), true);
  core.state.deadlines.add(live);
  watchDeadline(core, live);
}

export function placeOf(live: Live, handle: QueueHandle<Live>, returned: boolean): Waiting {
  return {
    kind: "waiting",
    returned,
    handle,
    item: live,
    previous: undefined,
    next: undefined,
    list: undefined,
  };
}

/** Out of whatever it waits in. `served` charges its flow: it has been given a slot. */
export function dequeue(core: Core, live: Live, served: boolean): void {
  const { state } = core;
  const set = state.sets.get(live.setId) as ReplicaSet;
  const place = live.place as Waiting;
  if (place.returned) set.returns.remove(place.handle);
  else if (served) set.queue.serve(place.handle);
  else set.queue.remove(place.handle);
  if (!place.returned) leavePool(state, place, served ? core.nowMs : undefined);
  live.place = undefined;
  state.deadlines.leave();
}

/** Counts a waiting task in another pool of its set; its place in the order stays. */
export function countIn(core: Core, live: Live, pool: Pool): void {
  const place = live.place as Waiting;
  if (place.returned) return;
  leavePool(core.state, place, undefined);
  live.poolId = pool.id;
  joinPool(pool, place);
}

export function joinPool(pool: Pool, place: Waiting): void {
  const { priority, outputTokens, bodyBytes } = place.item;
  pool.waitingTokens += outputTokens;
  pool.waitingBodyBytes += bodyBytes;
  pool.waiting[priority].join(place);
}

/** Only what was served tells how fast the queue drains; who was evicted or cancelled made room by going. */
function leavePool(state: State, place: Waiting, servedAtMs: number | undefined): void {
  const live = place.item;
  const pool = state.pools.get(live.poolId) as Pool;
  pool.waiting[live.priority].remove(place);
  pool.waitingTokens -= live.outputTokens;
  pool.waitingBodyBytes -= live.bodyBytes;
  if (servedAtMs !== undefined) departed(pool.drain, servedAtMs, waitingIn(pool) > 0);
  else if (waitingIn(pool) === 0) pool.drain.lastAtMs = null;
}

export function waitingIn({ waiting }: Pool): number {
  return waiting.interactive.size + waiting.batch.size;
}

/**
 * One timer for all waiting tasks, never later than the earliest deadline. It only moves forward in time when
 * it fires: a queue that moves would otherwise set it anew with every task.
 */
export function watchDeadline(core: Core, { deadlineAtMs }: Live): void {
  if (deadlineAtMs >= (core.state.timers.get(deadlineTimer) ?? Infinity)) return;
  core.emit({ type: "SetTimer", timer: deadlineTimer, atMs: Math.max(deadlineAtMs, core.nowMs) });
}
