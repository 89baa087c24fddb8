// How long a caller should wait whom a full queue refuses: until those have left it that stand in the way. A
// task leaves the queue when it starts, so the outlook that predicts starts says when.

import type { Priority } from "@llama-orch/contract";
import { waitingIn } from "../queue/waiting.ts";
import type { Core, Pool, ReplicaSet } from "../state.ts";
import { clampRetry, drainInMs } from "./backoff.ts";
import { knowsSpeed, predictLeaving } from "./outlook.ts";
import { type Service, totalMs } from "./rates.ts";

/** How many waiting tasks have to leave before there is room: whichever, and of the newcomer's own class. */
export interface Lack {
  readonly any: number;
  readonly ofClass: number;
}

export interface FullQueue {
  readonly pool: Pool;
  /** Where the newcomer would run. */
  readonly set: ReplicaSet;
  readonly priority: Priority;
  /** Engine time of the newcomer, as far as it is known. */
  readonly service: Service | undefined;
}

/** Between two departures, while neither slots nor departures tell it. */
export const unknownGapMs = 1000;

export function roomInMs(core: Core, queue: FullQueue, { any, ofClass }: Lack): number {
  const anyMs = any > 0 ? leaveInMs(core, queue, any, undefined) : 0;
  const ofClassMs = ofClass > 0 ? leaveInMs(core, queue, ofClass, queue.priority) : 0;
  return clampRetry(Math.max(anyMs, ofClassMs));
}

/** Where too few wait, room does not come from their leaving; then the rate is all there is to go by. */
function leaveInMs(core: Core, queue: FullQueue, places: number, priority: Priority | undefined): number {
  const { state, nowMs } = core;
  const { pool, set, service } = queue;
  const declaredGapMs = service === undefined ? unknownGapMs : totalMs(service) / slotsIn(set);
  const among = priority === undefined ? waitingIn(pool) : pool.waiting[priority].size;
  if (among === 0) return drainInMs(pool.drain, nowMs, places, declaredGapMs);
  const before = set.queue.leavingBefore(Math.min(places, among), among, priority);
  const predictedMs = predictLeaving(state, nowMs, set, before);
  if (predictedMs !== undefined && knowsSpeed(set)) return predictedMs + reserveOf(service);
  const leaving = priority === undefined ? places : before.items + 1;
  return Math.max(predictedMs ?? 0, drainInMs(pool.drain, nowMs, leaving, declaredGapMs));
}

/**
 * Half of all starts come later than predicted, and who comes too early is refused again: one measured spread
 * is kept in reserve. What an engine merely declares is taken at its word.
 */
function reserveOf(service: Service | undefined): number {
  return service?.measured === true ? Math.sqrt(service.varianceMs2) : 0;
}

/** So many tasks of a set leave its queue while one is served. */
function slotsIn({ replicas }: ReplicaSet): number {
  let slots = 0;
  for (const { status, facts } of replicas) {
    if (status === "ready") slots += facts.slotsTotal - facts.slotsElsewhere;
  }
  return Math.max(1, slots);
}
