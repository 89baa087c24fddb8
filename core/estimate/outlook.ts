// What the future of a replica set looks like from now: when its slots come free, how long work takes on it,
// and so when a newcomer or a waiting task would start.

import { Priority } from "@llama-orch/contract";
import { isUp } from "../placement/candidates.ts";
import type { Before } from "../queue/fair.ts";
import type { ArrivalRate, Live, Pool, ReplicaSet, Running, State } from "../state.ts";
import { earliest, overdueShare, predictStart, unknownSpeedMsPerPlace } from "./eta.ts";
import { onTimeProbability } from "./on-time.ts";
import { type Service, serviceOf, totalMs, type Work } from "./rates.ts";

export interface Prediction {
  /** From now. */
  readonly startMs: number;
  /** Engine time of the task itself; undefined while the speed is unknown. */
  readonly service: Service | undefined;
  readonly varianceMs2: number;
}

/** Arrivals are remembered for about this long. */
const arrivalMemoryMs = 30_000;

/** A rate is not told from less than this. */
const arrivalSeenMinMs = 2000;

export function predictNewcomer(
  state: State,
  nowMs: number,
  set: ReplicaSet,
  who: { readonly tenantId: string; readonly priority: Priority },
  own: Work,
): Prediction & { readonly position: number } {
  const queued = set.queue.ahead(who.tenantId, who.priority);
  const service = serviceOn(set, own);
  const freeAtMs = slotsOf(state, nowMs, set);
  const ahead = set.returns.size === 0 ? queued : withReturned(queued, set.returns.items());
  const work = ahead.items === 0 ? noService : serviceOn(set, ahead, ahead.items);
  if (work === undefined) {
    const startMs = Math.round(soonest(freeAtMs, nowMs) + ahead.items * unknownSpeedMsPerPlace);
    return { position: queued.position, startMs, service, varianceMs2: 0 };
  }
  const claimed = queued.overtakable ? claimedBy(state, nowMs, set, who.priority, freeAtMs.length) : 0;
  const startAtMs = predictStart({ freeAtMs, nowMs, claimed }, totalMs(work), ahead.items);
  const varianceMs2 = work.varianceMs2 / Math.max(1, freeAtMs.length) ** 2 + (service?.varianceMs2 ?? 0);
  return {
    position: queued.position,
    startMs: Math.max(0, Math.round(startAtMs - nowMs)),
    service,
    varianceMs2,
  };
}

/** Position and predicted start of everything that waits, by dealing task after task to the slots. */
export function* predictWaiting(
  state: State,
  nowMs: number,
  set: ReplicaSet,
): Iterable<{ live: Live; position: number; startMs: number }> {
  const freeAtMs = slotsOf(state, nowMs, set).map((at) => Math.max(at, nowMs));
  const positions: Record<Priority, number> = { interactive: 0, batch: 0 };
  const firstFreeMs = soonest(freeAtMs, nowMs);
  let places = 0;
  for (const live of waitingOf(set)) {
    const position = positions[live.priority]++;
    const service = serviceOn(set, live);
    if (service === undefined || freeAtMs.length === 0) {
      yield { live, position, startMs: Math.round(firstFreeMs + places++ * unknownSpeedMsPerPlace) };
      continue;
    }
    const slot = earliest(freeAtMs);
    const startAtMs = freeAtMs[slot] as number;
    freeAtMs[slot] = startAtMs + totalMs(service);
    yield { live, position, startMs: Math.round(startAtMs - nowMs) };
  }
}

/**
 * Until the waiting task of a set has started before which these leave its queue; undefined where nothing is
 * known of its slots. A slot that is free while tasks wait is of no use to those that are next.
 */
export function predictLeaving(
  state: State,
  nowMs: number,
  set: ReplicaSet,
  before: Before,
): number | undefined {
  const freeAtMs = slotsOf(state, nowMs, set).filter((atMs) => atMs > nowMs);
  if (freeAtMs.length === 0) return undefined;
  const ahead = withReturned(before, set.returns.items());
  const work = ahead.items === 0 ? noService : serviceOn(set, ahead, ahead.items);
  if (work === undefined) return soonest(freeAtMs, nowMs) + ahead.items * unknownSpeedMsPerPlace;
  return predictStart({ freeAtMs, nowMs, claimed: 0 }, totalMs(work), ahead.items) - nowMs;
}

/** Whether anything was measured or declared from which the length of a task can be told. */
export function knowsSpeed({ replicas }: ReplicaSet): boolean {
  return replicas.some(({ rates, facts }) => serviceOf(rates, facts.speed, nothing) !== undefined);
}

const nothing: Work = { promptTokens: 0, outputTokens: 0 };

/** Until the first slot is free; 0 where none is known. */
function soonest(freeAtMs: readonly number[], nowMs: number): number {
  return freeAtMs.length === 0 ? 0 : Math.max(0, (freeAtMs[earliest(freeAtMs)] as number) - nowMs);
}

function* waitingOf(set: ReplicaSet): Iterable<Live> {
  yield* set.returns.items();
  yield* set.queue.items();
}

const noService: Service = { prefillMs: 0, decodeMs: 0, varianceMs2: 0, measured: true };

/** The mean over the replicas that know their speed. */
export function serviceOn(set: ReplicaSet, work: Work, items = 1): Service | undefined {
  let known = 0;
  let prefillMs = 0;
  let decodeMs = 0;
  let varianceMs2 = 0;
  let measured = false;
  for (const replica of set.replicas) {
    const service = serviceOf(replica.rates, replica.facts.speed, work, items);
    if (service === undefined) continue;
    known++;
    prefillMs += service.prefillMs;
    decodeMs += service.decodeMs;
    varianceMs2 += service.varianceMs2;
    measured ||= service.measured;
  }
  if (known === 0) return undefined;
  return {
    prefillMs: prefillMs / known,
    decodeMs: decodeMs / known,
    varianceMs2: varianceMs2 / known,
    measured,
  };
}

/** Engine time that a live task is expected to need; undefined while the speed is unknown. */
export function predictedMs(state: State, live: Live): number | undefined {
  const set = state.sets.get(live.setId);
  const service = set === undefined ? undefined : serviceOn(set, live);
  return service === undefined ? undefined : totalMs(service);
}

/** When each slot of the set is expected to be free. Replicas that are coming up count from their arrival. */
export function slotsOf(state: State, nowMs: number, set: ReplicaSet): number[] {
  const freeAtMs: number[] = [];
  for (const replica of set.replicas) {
    const pool = state.pools.get(replica.poolId) as Pool;
    const up = isUp(state, pool, replica);
    const upAtMs = up ? nowMs : (replica.readyAtMs ?? replica.doubtedUntilMs);
    if (upAtMs === undefined || (!up && pool.draining !== undefined)) continue;
    for (const live of replica.running) freeAtMs.push(expectedEnd(live.place as Running, nowMs));
    const idle = replica.facts.slotsTotal - replica.facts.slotsElsewhere - replica.running.size;
    for (let i = 0; i < idle; i++) freeAtMs.push(upAtMs);
  }
  return freeAtMs;
}

export function expectedEnd({ dispatchedAtMs, expectedEndAtMs }: Running, nowMs: number): number {
  if (expectedEndAtMs > nowMs) return expectedEndAtMs;
  return nowMs + (nowMs - dispatchedAtMs) * overdueShare;
}

/** How likely a live task ends in time, by where it is now. */
export function onTime(state: State, live: Live): number {
  const { nowMs } = state;
  const set = state.sets.get(live.setId);
  if (live.place?.kind === "running") {
    const service = set === undefined ? undefined : serviceOn(set, live);
    return onTimeProbability(expectedEnd(live.place, nowMs), live.deadlineAtMs, service?.varianceMs2 ?? 0);
  }
  if (set === undefined) return 0;
  const startMs = startOf(state, live, set);
  if (startMs === undefined) return 0;
  const service = serviceOn(set, live);
  const finishAtMs = nowMs + startMs + (service === undefined ? 0 : totalMs(service));
  return onTimeProbability(finishAtMs, live.deadlineAtMs, 2 * (service?.varianceMs2 ?? 0));
}

/** A task that has just been accepted was told so; any other is found by walking over the queue. */
function startOf(state: State, live: Live, set: ReplicaSet): number | undefined {
  if (live.submittedAtMs === state.nowMs) return live.known.answer.predictedStartMs;
  for (const waiting of predictWaiting(state, state.nowMs, set)) {
    if (waiting.live === live) return waiting.startMs;
  }
  return undefined;
}

function withReturned<T extends Before>(ahead: T, lives: Iterable<Live>): T {
  const total = { ...ahead };
  for (const live of lives) {
    total.items++;
    total.promptTokens += live.promptTokens;
    total.outputTokens += live.outputTokens;
  }
  return total;
}

export function noteArrival(set: ReplicaSet, priority: Priority, serviceMs: number, nowMs: number): void {
  const arrivals = set.arrivals[priority];
  arrivals.perMs = faded(arrivals, nowMs) + serviceMs / arrivalMemoryMs;
  arrivals.atMs = nowMs;
  arrivals.sinceMs ??= nowMs;
}

function faded({ perMs, atMs }: ArrivalRate, nowMs: number): number {
  return perMs * Math.exp(-(nowMs - atMs) / arrivalMemoryMs);
}

/** Engine time that comes in per millisecond, by what was seen so far. */
function rateAt(arrivals: ArrivalRate, nowMs: number): number {
  if (arrivals.sinceMs === null) return 0;
  const seenMs = Math.max(arrivalSeenMinMs, nowMs - arrivals.sinceMs);
  return faded(arrivals, nowMs) / (1 - Math.exp(-seenMs / arrivalMemoryMs));
}

/**
 * The share of the slots that other classes keep taking: what they send, at most what their weight gives
 * them.
 */
function claimedBy(state: State, nowMs: number, set: ReplicaSet, own: Priority, slots: number): number {
  const pool = state.pools.get(set.replicas[0]?.poolId ?? "");
  if (pool === undefined || slots === 0) return 0;
  const { classes, strictClasses } = pool.settings;
  let claimed = 0;
  for (const priority of Priority.enum) {
    if (priority === own) continue;
    const share = classes[priority].weight / (classes[priority].weight + classes[own].weight);
    const most = strictClasses ? (priority === "interactive" ? 1 : 0) : share;
    claimed += Math.min(most, rateAt(set.arrivals[priority], nowMs) / slots);
  }
  return claimed;
}
