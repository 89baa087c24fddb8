// Which replica set takes a new task, and in which pool's queue it counts: the set with the earliest
// predicted start among those that may run it, and there the first pool that has room.

import type { Task } from "@llama-orch/contract";
import { type Prediction, predictNewcomer } from "../estimate/outlook.ts";
import type { Work } from "../estimate/rates.ts";
import { limits } from "../limits.ts";
import { ctxNeeded, isUp, slotsFree } from "../placement/candidates.ts";
import { has, type ModelNeeds } from "../placement/feasible.ts";
import { comingInMs, type Readiness, readinessOf } from "../pools/readiness.ts";
import type { Core, Pool, Replica, ReplicaSet, State } from "../state.ts";

export interface Needs extends Work, ModelNeeds {
  readonly longestTokens: number;
  readonly memoryBytes: number;
}

export interface Target {
  readonly set: ReplicaSet;
  readonly pool: Pool;
  readonly readiness: Readiness;
  readonly prediction: Prediction & { readonly position: number };
}

/** Pools that serve the model with the wanted engine, in the order of the configuration. */
export function poolsFor(state: State, modelRef: string, { engine, placement }: Task): Pool[] {
  const pools: Pool[] = [];
  for (const pool of state.pools.values()) {
    if (pool.retired || pool.modelRef !== modelRef || pool.settings.engine !== engine) continue;
    if (placement.mode !== "pin" || pool.id === placement.pinPoolId) pools.push(pool);
  }
  return pools;
}

/** Where the task could go: preferred pools before others, and among equals the earliest start first. */
export function targetsFor(core: Core, task: Task, pools: readonly Pool[], needs: Needs): Target[] {
  const { mode, preferPools, allowFallback } = task.placement;
  const open = openTo(task, pools);
  if (mode !== "prefer" || preferPools.length === 0) return targetsIn(core, task, open, needs);
  const preferred = open.filter((pool) => preferPools.includes(pool.id));
  const others = allowFallback ? open.filter((pool) => !preferPools.includes(pool.id)) : [];
  return [...targetsIn(core, task, preferred, needs), ...targetsIn(core, task, others, needs)];
}

function targetsIn(core: Core, task: Task, pools: readonly Pool[], needs: Needs): Target[] {
  const { state, nowMs } = core;
  const targets: Target[] = [];
  for (const pool of pools) {
    const readiness = readinessOf(state, nowMs, pool);
    if (readiness.kind !== "serving" && readiness.kind !== "coming") continue;
    for (const replica of pool.replicas.values()) {
      if (!mayTake(core, pool, replica, task, needs)) continue;
      const set = state.sets.get(replica.setId) as ReplicaSet;
      if (task.determinism === "strict" && set.key.determinism !== "strict") continue;
      const same = targets.find((target) => target.set === set);
      if (same?.pool === pool) continue;
      const prediction = same?.prediction ?? predictNewcomer(state, nowMs, set, task, needs);
      targets.push({ set, pool, readiness, prediction });
    }
  }
  return targets.length > 1 ? targets.sort(earlier) : targets;
}

/** Whether a replica is up or coming, and can hold the task. */
function mayTake({ state, nowMs }: Core, pool: Pool, replica: Replica, task: Task, needs: Needs): boolean {
  const { facts } = replica;
  if (!isUp(state, pool, replica) && comingInMs(nowMs, replica) >= limits.startingReplicaMs) return false;
  if (facts.ctxMax < ctxNeeded(task, needs.longestTokens)) return false;
  if (!mayHold(state, pool, replica, needs.memoryBytes)) return false;
  return has(needs, facts);
}

/**
 * A task that only waits for memory would keep its whole flow waiting, so one that no end of other work can
 * make room for does not come in. A pool's extra bytes are left out: caches may shrink, and a task waits for
 * that. So is a replica that is not up, whose memory nobody has measured yet.
 */
function mayHold(state: State, pool: Pool, replica: Replica, memoryBytes: number): boolean {
  if (memoryBytes <= replica.facts.vramFreeBytes || !isUp(state, pool, replica)) return true;
  return memoryBytes <= mostMemory(state, replica);
}

/** What would be free if all that runs on the replica's machine had ended. */
export function mostMemory(state: State, { facts }: Replica): number {
  let bytes = facts.vramFreeBytes;
  for (const { replicas } of state.pools.values()) {
    for (const other of replicas.values()) {
      if (other.facts.nodeId !== facts.nodeId) continue;
      for (const { memoryBytes } of other.running) bytes += memoryBytes;
    }
  }
  return bytes;
}

/** Where the speed is unknown every start is predicted alike; then the set with more free slots is first. */
function earlier(a: Target, b: Target): number {
  const byStart = a.prediction.startMs - b.prediction.startMs;
  if (byStart !== 0) return byStart;
  const bySlots = freeSlots(b.set) - freeSlots(a.set);
  return bySlots !== 0 ? bySlots : a.set.id < b.set.id ? -1 : a.set.id > b.set.id ? 1 : 0;
}

function freeSlots({ replicas }: ReplicaSet): number {
  return replicas.reduce((sum, replica) => sum + slotsFree(replica), 0);
}

/** Avoided pools are out; a device mask must be equal. */
function openTo({ placement }: Task, pools: readonly Pool[]): readonly Pool[] {
  const { avoidPools, requireDeviceMask } = placement;
  if (avoidPools.length === 0 && requireDeviceMask === undefined) return pools;
  return pools.filter(
    (pool) =>
      !avoidPools.includes(pool.id) &&
      (requireDeviceMask === undefined || requireDeviceMask === pool.settings.deviceMask),
  );
}
