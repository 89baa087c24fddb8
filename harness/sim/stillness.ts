// Two things that must hold whenever nothing is happening: no slot is free that a waiting task could use, and
// everything that waits for a time has a timer.

import assert from "node:assert/strict";
import type { Orchestrator } from "@llama-orch/core";

type State = Orchestrator["state"];
type Sets = State["sets"] extends ReadonlyMap<string, infer S> ? S : never;
type Replica = Sets["replicas"][number];
type Live = State["jobs"] extends ReadonlyMap<string, infer L> ? L : never;

export function assertNoIdleSlot({ state }: Orchestrator): void {
  for (const set of state.sets.values()) {
    if (set.queue.size + set.returns.size === 0) continue;
    const free = set.replicas.filter((replica) => isFree(state, replica));
    if (free.length === 0) continue;
    const blocked = new Set<string>();
    for (const live of [...set.returns.items(), ...set.queue.items()]) {
      // Tasks that need memory and do not get it hold up their own flow.
      const flow = `${live.tenantId} ${live.priority}`;
      if (live.memoryBytes > 0) blocked.add(flow);
      if (blocked.has(flow)) continue;
      const replica = free.find((place) => couldRun(state, live, place));
      if (replica === undefined) continue;
      throw new Error(`Task ${live.jobId} waits although ${replica.key} has a slot for it.`);
    }
  }
}

function isFree(
  { settings, nodes, pools, timers, nowMs }: State,
  { key, poolId, facts, status, running, doubtedUntilMs }: Replica,
): boolean {
  const pool = pools.get(poolId);
  if (pool === undefined || status !== "ready" || pool.draining !== undefined) return false;
  // It lost an attempt, and its timer has not fired yet.
  if (doubtedUntilMs !== undefined && timers.has(`doubt ${key}`)) return false;
  const { openUntilMs, trial } = pool.breaker;
  if (openUntilMs !== undefined && (nowMs <= openUntilMs || trial !== undefined)) return false;
  // Its timer is due and comes next.
  if ((timers.get(`breaker ${poolId}`) ?? Infinity) <= nowMs) return false;
  const { nodeId, slotsTotal, slotsElsewhere } = facts;
  if (nodeId !== null && settings.nodes.enabled && nodes.get(nodeId)?.online !== true) return false;
  return slotsTotal - slotsElsewhere - running.size > 0;
}

function couldRun(
  { pools }: State,
  { task, faultsByReplica, longestTokens, memoryBytes, extensions }: Live,
  { key, poolId, facts }: Replica,
): boolean {
  const { mode, pinPoolId, preferPools, avoidPools, requireDeviceMask, allowFallback } = task.placement;
  if ((faultsByReplica?.get(key) ?? 0) >= 2) return false;
  if (mode === "pin" && pinPoolId !== poolId) return false;
  if (mode === "prefer" && !allowFallback && !preferPools.includes(poolId)) return false;
  if (avoidPools.includes(poolId)) return false;
  const pool = pools.get(poolId);
  if (pool?.settings.antiAffinity !== undefined) return false;
  if (requireDeviceMask !== undefined && pool?.settings.deviceMask !== requireDeviceMask) return false;
  if (memoryBytes > 0 && facts.vramFreeBytes < memoryBytes + (pool?.settings.extraBytes ?? 0)) return false;
  if (extensions.length > 0) return false;
  return (task.ctx === 0 ? longestTokens + task.maxTokens : task.ctx) <= facts.ctxMax;
}

export function assertTimed({ state }: Orchestrator): void {
  const { timers, nowMs } = state;
  for (const live of state.jobs.values()) {
    if (live.grace) assert(timers.has(`grace ${live.jobId}`), `The grace of ${live.jobId} has no timer.`);
    if (live.place?.kind !== "waiting") continue;
    const watched = (timers.get("deadline") ?? Infinity) <= Math.max(nowMs, live.deadlineAtMs);
    assert(watched, `The deadline of ${live.jobId} has no timer.`);
  }
  for (const pool of state.pools.values()) {
    const { draining, breaker, id } = pool;
    const overdue = draining !== undefined && draining.deadlineAtMs <= nowMs;
    if (draining !== undefined && !draining.ended && !overdue) {
      assert(timers.has(`drain ${id}`), `The drain of ${id} has no timer.`);
    }
    if (breaker.openUntilMs !== undefined && breaker.openUntilMs > nowMs) {
      assert(timers.has(`breaker ${id}`), `The open breaker of ${id} has no timer.`);
    }
  }
  for (const { id, online } of state.nodes.values()) {
    if (online) assert(timers.has(`node ${id}`), `Nobody watches node ${id}.`);
  }
  if (state.sessions.size > 0) assert(timers.has("sessions"), "Nobody sweeps the sessions.");
}
