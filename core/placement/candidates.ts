// Live tasks and replicas in the words of placement: what a task asks for, and what a replica is at this
// moment.

import type { Task } from "@llama-orch/contract";
import { limits } from "../limits.ts";
import { maySend } from "../pools/breaker.ts";
import type { Live, Pool, Replica, ReplicaSet, State } from "../state.ts";
import type { Candidate, ModelNeeds, Requirements } from "./feasible.ts";

/** What of a task decides where it may run; one that is not admitted yet has lost nothing anywhere. */
type Wanting = Pick<Live, "task" | "longestTokens" | "memoryBytes" | "faultsByReplica" | keyof ModelNeeds>;

export function requirementsOf(live: Wanting): Requirements {
  const { task, faultsByReplica } = live;
  const { placement } = task;
  return {
    ctx: ctxNeeded(task, live.longestTokens),
    memoryBytes: live.memoryBytes,
    extensions: live.extensions,
    quant: live.quant,
    computeCapability: live.computeCapability,
    pinPoolId: placement.mode === "pin" ? placement.pinPoolId : undefined,
    preferPools: placement.mode === "prefer" ? placement.preferPools : none,
    avoidPools: placement.avoidPools,
    requireDeviceMask: placement.requireDeviceMask,
    allowFallback: placement.allowFallback,
    exhausted:
      faultsByReplica === undefined
        ? undefined
        : (key) => (faultsByReplica.get(key) ?? 0) >= limits.attemptsPerReplica,
  };
}

const none: readonly string[] = [];

/** The context asked for, else as much as prompt and output may take. */
export function ctxNeeded({ ctx, maxTokens }: Task, longestTokens: number): number {
  return ctx === 0 ? longestTokens + maxTokens : ctx;
}

/** Tasks with equal lanes may run in the same places. Most tasks have no wish and share one lane. */
export function laneOf({ placement }: Task, needs: ModelNeeds): string {
  const { mode, pinPoolId, preferPools, avoidPools, requireDeviceMask, allowFallback } = placement;
  const { extensions, quant, computeCapability } = needs;
  const wishes: string[] = [];
  if (mode === "pin") wishes.push(`pin ${pinPoolId}`);
  if (mode === "prefer" && !allowFallback) wishes.push(`only ${[...preferPools].sort().join(",")}`);
  if (avoidPools.length > 0) wishes.push(`avoid ${[...avoidPools].sort().join(",")}`);
  if (requireDeviceMask !== undefined) wishes.push(`mask ${requireDeviceMask}`);
  if (quant !== undefined) wishes.push(`quant ${quant}`);
  if (computeCapability !== undefined) wishes.push(`capability ${computeCapability}`);
  if (extensions.length > 0) wishes.push(`has ${[...extensions].sort().join(",")}`);
  return wishes.length === 0 ? "" : wishes.join(" ");
}

export function candidatesOf(state: State, nowMs: number, set: ReplicaSet, jobId: string): Candidate[] {
  return set.replicas.map((replica) => candidateOf(state, nowMs, replica, jobId));
}

export function candidateOf(state: State, nowMs: number, replica: Replica, jobId: string): Candidate {
  const pool = state.pools.get(replica.poolId) as Pool;
  const { facts } = replica;
  return {
    key: replica.key,
    poolId: replica.poolId,
    replicaId: replica.replicaId,
    nodeId: facts.nodeId,
    ready: serves(state, nowMs, pool, replica, jobId),
    ctxMax: facts.ctxMax,
    features: facts.features,
    quant: facts.quant,
    computeCapability: facts.computeCapability,
    deviceMask: pool.settings.deviceMask,
    keptApart: isKeptApart(state, pool, replica),
    vramFreeBytes: facts.vramFreeBytes - promisedBytes(replica),
    extraBytes: pool.settings.extraBytes,
    slotsFree: slotsFree(replica),
    active: replica.running.size,
    topology: facts.topology,
  };
}

/** Memory of attempts that were sent after the replica last said how much it has. */
function promisedBytes({ running, reportedAtMs }: Replica): number {
  let bytes = 0;
  for (const { memoryBytes, place } of running) {
    if (memoryBytes > 0 && place?.kind === "running" && place.dispatchedAtMs >= reportedAtMs)
      bytes += memoryBytes;
  }
  return bytes;
}

export function slotsFree({ facts, running }: Replica): number {
  return facts.slotsTotal - facts.slotsElsewhere - running.size;
}

function serves(state: State, nowMs: number, pool: Pool, replica: Replica, jobId: string): boolean {
  return isUp(state, pool, replica) && maySend(pool.breaker, nowMs, jobId);
}

/** Ready, on a node that is heard, in a pool that is not draining. */
export function isUp(state: State, pool: Pool, replica: Replica): boolean {
  if (replica.status !== "ready" || pool.draining !== undefined) return false;
  return !isDoubted(state.nowMs, replica) && isHeard(state, replica);
}

/** It lost an attempt a moment ago, and nobody has said yet whether it lives. */
export function isDoubted(nowMs: number, { doubtedUntilMs }: Replica): boolean {
  return doubtedUntilMs !== undefined && nowMs < doubtedUntilMs;
}

/** On this machine, or on a node that is online. */
export function isHeard(state: State, { facts: { nodeId } }: Replica): boolean {
  return nodeId === null || !state.settings.nodes.enabled || state.nodes.get(nodeId)?.online === true;
}

/** A pool may be told to stay away from the nodes or zones where certain other pools are serving. */
function isKeptApart(state: State, pool: Pool, replica: Replica): boolean {
  const rule = pool.settings.antiAffinity;
  if (rule === undefined) return false;
  const spot = rule.scope === "node" ? replica.facts.nodeId : replica.facts.zone;
  if (spot === undefined || spot === null) return false;
  return rule.pools.some((poolId) => {
    const others = state.pools.get(poolId)?.replicas.values() ?? [];
    return [...others].some((other) => {
      const place = rule.scope === "node" ? other.facts.nodeId : other.facts.zone;
      return other.running.size > 0 && place === spot;
    });
  });
}
