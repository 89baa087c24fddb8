// Entering and leaving the queue of a set: the one place that keeps a set's order, its pools' counts and the
// deadlines in step.

import { departed } from "../estimate/backoff.ts";
import type { Core, Live, Pool, ReplicaSet, State, Waiting } from "../state.ts";
import type { Ticket } from "./fair.ts";
import type { QueueHandle } from "./queue.ts";

export const deadlineTimer = "deadline";

/** Into its flow, behind what came before. */
export function enqueue(core: Core, set: ReplicaSet, pool: Pool, live: Live): void {
  live.setId = set.id;
  live.poolId = pool.id;
  live.place = {
    kind: "waiting",
    returned: false,
    ticket: set.queue.push(live),
    arrival: joinPool(pool, live),
  };
  core.state.deadlines.add(live);
  watchDeadlines(core);
}

/** Into the return lane: ahead of the flows and outside every bound. */
export function enqueueReturned(core: Core, set: ReplicaSet, live: Live): void {
  live.setId = set.id;
  live.place = {
    kind: "waiting",
    returned: true,
    ticket: set.returns.push(live),
    arrival: undefined,
  };
  core.state.deadlines.add(live);
  watchDeadlines(core);
}

/** Out of whatever it waits in. `served` charges its flow: it has been given a slot. */
export function dequeue(core: Core, live: Live, served: boolean): void {
  const { state } = core;
  const set = state.sets.get(live.setId) as ReplicaSet;
  const place = live.place as Waiting;
  if (place.returned) set.returns.remove(place.ticket as QueueHandle<Live>);
  else if (served) set.queue.serve(place.ticket as Ticket<Live>);
  else set.queue.remove(place.ticket as Ticket<Live>);
  if (place.arrival !== undefined) leavePool(state, live, place.arrival, served ? core.nowMs : undefined);
  live.place = undefined;
  state.deadlines.leave();
}

/** Counts a waiting task in another pool of its set; its place in the order stays. */
export function countIn(core: Core, live: Live, pool: Pool): void {
  const place = live.place as Waiting;
  if (place.arrival === undefined) return;
  leavePool(core.state, live, place.arrival, undefined);
  live.poolId = pool.id;
  live.place = { ...place, arrival: joinPool(pool, live) };
}

export function joinPool(pool: Pool, live: Live): QueueHandle<Live> {
  pool.waitingTokens += live.outputTokens;
  pool.waitingBodyBytes += live.bodyBytes;
  return pool.waiting[live.priority].push(live);
}

/** Only what was served tells how fast the queue drains; who was evicted or cancelled made room by going. */
function leavePool(
  state: State,
  live: Live,
  arrival: QueueHandle<Live>,
  servedAtMs: number | undefined,
): void {
  const pool = state.pools.get(live.poolId) as Pool;
  pool.waiting[live.priority].remove(arrival);
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
export function watchDeadlines(core: Core): void {
  const { state } = core;
  const first = state.deadlines.first()?.deadlineAtMs;
  if (first === undefined || first >= (state.timers.get(deadlineTimer) ?? Infinity)) return;
  core.emit({ type: "SetTimer", timer: deadlineTimer, atMs: Math.max(first, core.nowMs) });
}
