// Where a task belongs: its set as long as that can ever run it, else another one that may. A strict task of
// which something was delivered has no other home, since only its own set gives the same bytes. One that was
// lost goes rather where a replica is up or coming than where it would have to wait for one.

import type { Task } from "@llama-orch/contract";
import { fail } from "../attempts/finish.ts";
import { limits } from "../limits.ts";
import { comingInMs } from "../pools/readiness.ts";
import { countIn, dequeue, enqueue, enqueueReturned } from "../queue/waiting.ts";
import type { Core, Live, Pool, Replica, ReplicaSet, State } from "../state.ts";
import { candidateOf, isHeard, isUp, requirementsOf } from "./candidates.ts";
import { suits } from "./feasible.ts";

export interface Home {
  readonly set: ReplicaSet;
  readonly pool: Pool;
}

/** What is asked of a replica before it counts. */
type Prospect = (core: Core, replica: Replica) => boolean;

/** Where a lost task goes on. */
export function home(core: Core, live: Live): Home | undefined {
  return homeAmong(core, live, isComing) ?? homeAmong(core, live, isAlive);
}

/** Its own set, where that is known by name alone and may still be heard of. */
export function unseenHome({ sets }: State, { setId }: Live): ReplicaSet | undefined {
  const own = sets.get(setId);
  return own?.unseen === true ? own : undefined;
}

function homeAmong(core: Core, live: Live, prospect: Prospect): Home | undefined {
  const { state } = core;
  const own = state.sets.get(live.setId);
  if (own !== undefined && mayEver(core, own, live, prospect))
    return { set: own, pool: poolIn(state, own, live) };
  if (live.frames > 0 && live.determinism === "strict") return undefined;
  for (const set of [...state.sets.values()].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    if (set === own || !fits(state, set, live) || !mayEver(core, set, live, prospect)) continue;
    if (live.frames === 0) live.determinism = set.key.determinism;
    // What it was admitted for holds until it is known what is served there.
    if (set.key.modelDigest !== live.task.modelRef) live.digest = set.key.modelDigest;
    return { set, pool: poolIn(state, set, live) };
  }
  return undefined;
}

/** Same model, same engine kind, and not a weaker promise than was given. */
function fits(state: State, set: ReplicaSet, live: Live): boolean {
  const { key } = set;
  if (key.engine !== live.task.engine || !servesModel(state, set, live)) return false;
  return live.task.determinism !== "strict" || key.determinism === "strict";
}

/**
 * A task that came while its replicas were loading knows its model by its reference alone, and so do replicas
 * that have not said yet what they serve: a task that waits for them is looked at again when they do.
 */
function servesModel(state: State, { key, replicas }: ReplicaSet, { digest, task }: Live): boolean {
  if (key.modelDigest === digest || key.modelDigest === task.modelRef) return true;
  return replicas.some(({ poolId }) => state.pools.get(poolId)?.modelRef === digest);
}

const isAlive: Prospect = (_core, { status }) => status !== "failed" && status !== "stopped";

const isComing: Prospect = ({ state, nowMs }, replica) => {
  const pool = state.pools.get(replica.poolId) as Pool;
  if (pool.draining !== undefined) return false;
  if (isUp(state, pool, replica)) return true;
  return isHeard(state, replica) && comingInMs(nowMs, replica) < limits.startingReplicaMs;
};

/** A waiting task may wait for replicas that have failed as well, until its deadline. */
const isThere: Prospect = () => true;

/** Whether a replica of the set has the prospect and may still be tried. */
function mayEver(core: Core, set: ReplicaSet, live: Live, prospect: Prospect): boolean {
  const { state, nowMs } = core;
  const requirements = requirementsOf(live);
  return set.replicas.some((replica) => {
    if (!prospect(core, replica)) return false;
    return suits(requirements, { ...candidateOf(state, nowMs, replica, live.jobId), keptApart: false });
  });
}

function poolIn(state: State, set: ReplicaSet, live: Live): Pool {
  const own = set.replicas.find((replica) => replica.poolId === live.poolId);
  return state.pools.get((own ?? (set.replicas[0] as Replica)).poolId) as Pool;
}

/** Moves what waits in a set that can no longer run it; order is kept, bounds do not apply a second time. */
export function rehome(core: Core, set: ReplicaSet): void {
  for (const live of [...set.returns.items(), ...set.queue.items()]) {
    const found = waitingHome(core, live);
    if (found === undefined) {
      if (!set.unseen) endHomeless(core, live);
      continue;
    }
    if (found.set === set) {
      if (found.pool.id !== live.poolId) countIn(core, live, found.pool);
      continue;
    }
    const returned = live.place?.kind === "waiting" && live.place.returned;
    dequeue(core, live, false);
    if (returned) enqueueReturned(core, found.set, live);
    else enqueue(core, found.set, found.pool, live);
  }
}

/** Where a waiting task waits: where it does as long as it may ever run there, else where it may soonest. */
export function waitingHome(core: Core, live: Live): Home | undefined {
  const set = core.state.sets.get(live.setId);
  if (set !== undefined && mayEver(core, set, live, isThere)) {
    return { set, pool: poolIn(core.state, set, live) };
  }
  return homeAmong(core, live, isComing) ?? homeAmong(core, live, isThere);
}

/** Replicas have reported: what waits in sets that are known by name alone may have found a home. */
export function rehomeUnseen(core: Core): void {
  for (const set of core.state.sets.values()) if (set.unseen) rehome(core, set);
}

/** Nothing that is configured may ever run it again; it is told why. */
export function endHomeless(core: Core, live: Live): void {
  const { state } = core;
  const pinGone = isPinnedAway(state, live) ? pinGoneText(state, live) : undefined;
  if (live.frames > 0) {
    const message = "The engines that could repeat this text are gone. Send the task again.";
    return fail(core, live, "WORKER_RESET", pinGone ?? message);
  }
  fail(core, live, "POOL_UNAVAILABLE", pinGone ?? homelessText(state, live), {
    policy_label: "retry",
    retry_after_ms: limits.retryAfterMaxMs,
  });
}

/** A pin is a wish for that very pool, so it goes with the pool and never falls back to another one. */
export function isPinnedAway({ pools }: State, { task: { placement } }: Live): boolean {
  const { mode, pinPoolId = "" } = placement;
  return mode === "pin" && (pools.get(pinPoolId)?.retired ?? true);
}

function pinGoneText(state: State, { task }: Live): string {
  const { modelRef, placement } = task;
  const others = serving(state, task);
  const where =
    others.length === 0 ? `no pool serves ${modelRef}` : `pools that serve ${modelRef}: ${others.join(", ")}`;
  const why = `Its pool ${placement.pinPoolId} is not configured any more; ${where}.`;
  return `${why} Send the task again without the pin.`;
}

function homelessText(state: State, { task }: Live): string {
  const others = serving(state, task);
  if (others.length === 0)
    return `No pool serves ${task.modelRef} any more. Send the task again when one does.`;
  const which = `not even those that serve ${task.modelRef} (${others.join(", ")})`;
  return `No pool can run the task any more, ${which}. Send the task again when one can.`;
}

function serving({ pools }: State, { engine, modelRef }: Task): string[] {
  const all = [...pools.values()].filter(({ retired }) => !retired);
  const fit = all.filter((pool) => pool.settings.engine === engine && pool.modelRef === modelRef);
  return fit.map(({ id }) => id).sort();
}
