// Replicas as they report themselves: they come, become ready, go away and come back as another process. A
// new process has all its slots free; what the old one was running is lost.

import { stop } from "../attempts/end.ts";
import { copyOf, newRates } from "../estimate/rates.ts";
import type { ReplicaFacts, ReplicaRemoved, ReplicaReported, ReplicaStatus } from "../events.ts";
import { Few } from "../few.ts";
import type { LostReason } from "../outcome.ts";
import { rehome } from "../placement/home.ts";
import { joinSet, leaveSet, setIdOf, setKeyOf } from "../placement/replica-set.ts";
import { coolSessions } from "../sessions.ts";
import type { Core, Pool, Replica, State } from "../state.ts";
import { isPhantom } from "./phantom.ts";

/** What a process may say of itself while its attempts go on. */
const alive: ReadonlySet<ReplicaStatus> = new Set(["ready", "draining"]);

export function replicaReported(core: Core, report: ReplicaReported): void {
  const pool = core.state.pools.get(report.poolId);
  if (pool === undefined || pool.retired) return;
  const known = pool.replicas.get(report.replicaId) ?? backAgain(core.state, pool, report);
  if (known !== undefined && known.epoch > report.epoch) return;
  const event = known === undefined ? report : { ...report, facts: completed(report, known.facts) };
  const fell = known === undefined || (!isPhantom(known) && isNews(known, event));
  if (known !== undefined && !alive.has(event.status)) loseRunning(core, known, event.reason ?? "crash");
  if (event.reason === "driver_reset" && fell) resetDevice(core, pool, event);
  if (known !== undefined && known.epoch === event.epoch) return refresh(core, pool, known, event);
  if (known !== undefined) replaceReplica(core, pool, known, event);
  else addReplica(core, pool, event);
}

/** Whether it was up when it was heard of last, or another process. */
function isNews(known: Replica, { epoch }: ReplicaReported): boolean {
  return alive.has(known.status) || known.epoch !== epoch;
}

/** A process that is not up yet and does not know what it serves is taken to be what it was before. */
function completed({ status, facts }: ReplicaReported, before: ReplicaFacts): ReplicaFacts {
  if (alive.has(status)) return facts;
  // Whoever reports it may know nothing of it but its place, and guess the rest.
  const knowsItself = facts.modelDigest !== null || facts.engineVersion !== null;
  if (!knowsItself && before.modelDigest !== null) return before;
  const { computeFingerprint = before.computeFingerprint, quant = before.quant } = facts;
  return {
    ...facts,
    modelDigest: facts.modelDigest ?? before.modelDigest,
    engineVersion: facts.engineVersion ?? before.engineVersion,
    ...(computeFingerprint !== undefined && { computeFingerprint }),
    ...(quant !== undefined && { quant }),
  };
}

/** A replica that was taken for gone reports as the process it was: its attempts hold its slots still. */
function backAgain(state: State, pool: Pool, { replicaId, epoch }: ReplicaReported): Replica | undefined {
  for (const replica of pool.departed) {
    if (replica.replicaId !== replicaId || replica.epoch !== epoch) continue;
    pool.departed.delete(replica);
    pool.replicas.set(replicaId, replica);
    joinSet(state, pool, replica);
    return replica;
  }
  return undefined;
}

/** Attempts outlive their process until their ends are reported. */
function depart(state: State, pool: Pool, replica: Replica): void {
  pool.replicas.delete(replica.replicaId);
  if (replica.running.size > 0) pool.departed.add(replica);
  coolSessions(state, replica.key);
  leaveSet(state, replica);
}

/** What of a report makes a replica. */
export type Appearance = Pick<
  ReplicaReported,
  "replicaId" | "epoch" | "status" | "facts" | "readyInMs" | "lastError"
>;

export function addReplica(core: Core, pool: Pool, event: Appearance, rates = newRates()): Replica {
  const replica = newReplica(core, pool, event, rates);
  pool.replicas.set(replica.replicaId, replica);
  joinSet(core.state, pool, replica);
  return replica;
}

export function newReplica(core: Core, pool: Pool, event: Appearance, rates = newRates()): Replica {
  return {
    poolId: pool.id,
    replicaId: event.replicaId,
    epoch: event.epoch,
    key: `${pool.id}/${event.replicaId}`,
    status: event.status,
    facts: event.facts,
    setId: "",
    readyAtMs: readyAtOf(core, event),
    reportedAtMs: core.nowMs,
    doubtedUntilMs: undefined,
    lastError: event.lastError,
    rates,
    running: new Few(),
  };
}

/** The same replica in a new process. If it still is what it was, it remembers how fast it is. */
function replaceReplica(core: Core, pool: Pool, old: Replica, event: ReplicaReported): void {
  loseRunning(core, old, event.reason ?? "crash");
  // That the control plane was away says nothing about its engines.
  if (!isPhantom(old)) noteRestart(core, pool);
  depart(core.state, pool, old);
  const same = setIdOf(setKeyOf(pool, event.facts)) === old.setId;
  addReplica(core, pool, event, same ? copyOf(old.rates) : newRates());
  if (!same) abandonSet(core, old.setId);
}

function refresh(core: Core, pool: Pool, replica: Replica, event: ReplicaReported): void {
  replica.status = event.status;
  replica.facts = event.facts;
  replica.readyAtMs = readyAtOf(core, event);
  replica.reportedAtMs = core.nowMs;
  replica.doubtedUntilMs = undefined;
  replica.lastError = event.lastError;
  reseat(core, pool, replica);
}

/** Into the set it belongs to now. */
export function reseat(core: Core, pool: Pool, replica: Replica): void {
  if (setIdOf(setKeyOf(pool, replica.facts)) === replica.setId) return;
  const left = replica.setId;
  leaveSet(core.state, replica);
  joinSet(core.state, pool, replica);
  abandonSet(core, left);
}

export function replicaRemoved(core: Core, event: ReplicaRemoved): void {
  const pool = core.state.pools.get(event.poolId);
  const replica = pool?.replicas.get(event.replicaId);
  if (pool === undefined || replica === undefined) return;
  loseRunning(core, replica, event.reason);
  depart(core.state, pool, replica);
  abandonSet(core, replica.setId);
}

/** Every attempt on it is told to end; its slots come back one by one as the ends are reported. */
export function loseRunning(core: Core, replica: Replica, reason: LostReason): void {
  for (const live of replica.running) {
    if (live.place?.kind === "running") stop(core, live, live.place, reason);
  }
}

/**
 * Work that waits for a set that has lost a member may have to go elsewhere, and an empty set is forgotten.
 * While a pool swaps its model nothing moves: the old model may come back.
 */
export function abandonSet(core: Core, setId: string): void {
  const set = core.state.sets.get(setId);
  if (set === undefined) return;
  for (const pool of core.state.pools.values()) if (pool.reload?.swapping === true) return;
  rehome(core, set);
  if (set.replicas.length === 0 && !set.unseen) core.state.sets.delete(setId);
}

/** A driver reset takes every replica on the same device of the same node with it. */
function resetDevice(core: Core, pool: Pool, event: ReplicaReported): void {
  core.emit({ type: "Note", about: "driver-reset", poolId: pool.id });
  const devices = new Set(pool.settings.deviceMask.split(",").filter((device) => device !== ""));
  for (const other of core.state.pools.values()) {
    if (!other.settings.deviceMask.split(",").some((device) => devices.has(device))) continue;
    for (const replica of other.replicas.values()) {
      if (replica.facts.nodeId === event.facts.nodeId) loseRunning(core, replica, "driver_reset");
    }
  }
}

/** A pool whose engines keep dying stops taking work for as long as its breaker is open. */
function noteRestart(core: Core, pool: Pool): void {
  const { maxRestarts, windowMs, openMs } = pool.settings.breaker;
  pool.restarts.push(core.nowMs);
  while ((pool.restarts[0] ?? core.nowMs) <= core.nowMs - windowMs) pool.restarts.shift();
  if (pool.restarts.length <= maxRestarts) return;
  pool.restarts.length = 0;
  pool.breaker.openUntilMs = core.nowMs + openMs;
  core.emit({ type: "Note", about: "restart-storm", poolId: pool.id });
  core.emit({ type: "SetTimer", timer: `breaker ${pool.id}`, atMs: pool.breaker.openUntilMs });
}

function readyAtOf(core: Core, { status, readyInMs }: Appearance): number | undefined {
  if (status === "ready" || readyInMs === undefined) return undefined;
  return core.nowMs + readyInMs;
}
