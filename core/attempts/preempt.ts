// Hard preemption: when a more urgent task waits and no slot is free, the youngest attempt of a lower class
// stops and goes on later. Only where it is configured, never a protected class, and only so often in a
// minute.

import { candidateOf, requirementsOf } from "../placement/candidates.ts";
import { infeasible } from "../placement/feasible.ts";
import { rankOf } from "../placement/replica-set.ts";
import type { Core, Live, Pool, Replica, ReplicaSet } from "../state.ts";
import { stop } from "./end.ts";

const minuteMs = 60_000;

export function preemptFor(core: Core, set: ReplicaSet): void {
  if (set.queue.size === 0 || !set.replicas.some((replica) => isHard(core, replica))) return;
  if (pending(set) > 0) return;
  let victim: Live | undefined;
  set.queue.next((urgent) => {
    victim = victimFor(core, set, urgent);
    return victim !== undefined;
  });
  if (victim?.place?.kind !== "running") return;
  const pool = core.state.pools.get(victim.place.replica.poolId) as Pool;
  pool.preemptions.push(core.nowMs);
  core.emit({ type: "Note", about: "preempted-hard", poolId: pool.id, jobId: victim.jobId });
  stop(core, victim, victim.place, "preempted");
}

function isHard({ state }: Core, { poolId }: Replica): boolean {
  return state.pools.get(poolId)?.settings.preemption.mode === "hard";
}

/** Slots that are about to come free because somebody was preempted already. */
function pending(set: ReplicaSet): number {
  let stopping = 0;
  for (const { running } of set.replicas) {
    for (const live of running)
      if (live.place?.kind === "running" && live.place.ending !== undefined) stopping++;
  }
  return stopping;
}

function victimFor(core: Core, set: ReplicaSet, urgent: Live): Live | undefined {
  let victim: Live | undefined;
  for (const replica of set.replicas) {
    const pool = core.state.pools.get(replica.poolId) as Pool;
    if (!mayPreempt(core, pool, replica, urgent)) continue;
    for (const live of replica.running) {
      if (live.over || rankOf(live.priority) <= rankOf(urgent.priority)) continue;
      if (pool.settings.preemption.protect.includes(live.priority) || !canGoOn(live)) continue;
      if (victim === undefined || dispatchedAt(live) > dispatchedAt(victim)) victim = live;
    }
  }
  return victim;
}

/** A text under a schema cannot be continued; what is stopped by choice must not be lost by it. */
function canGoOn({ determinism, task }: Live): boolean {
  return determinism === "strict" || task.sampling.json_schema === undefined;
}

function mayPreempt(core: Core, pool: Pool, replica: Replica, urgent: Live): boolean {
  const { mode, maxPerMinute } = pool.settings.preemption;
  if (mode !== "hard" || !replica.facts.features.includes("interruptible_decode")) return false;
  while ((pool.preemptions[0] ?? core.nowMs) <= core.nowMs - minuteMs) pool.preemptions.shift();
  if (pool.preemptions.length >= maxPerMinute) return false;
  const place = candidateOf(core.state, core.nowMs, replica, urgent.jobId);
  return infeasible(requirementsOf(urgent), { ...place, slotsFree: place.slotsFree + 1 }) === undefined;
}

function dispatchedAt({ place }: Live): number {
  return place?.kind === "running" ? place.dispatchedAtMs : 0;
}
