// Builds the state again from the facts that survived the process, without deciding anew: nothing that was
// accepted is refused, bounds do not apply a second time, and the old order holds. Replicas stand as phantoms
// until real processes report. Fairness between flows, rates, breakers and tries begin anew; names of ended
// tasks are the store's to remember.

import type { Determinism } from "@llama-orch/contract";
import { enrol } from "./admission/enrol.ts";
import { tenantOf } from "./admission/tenant.ts";
import { configure, newPool } from "./configure.ts";
import type { ReplicaFacts } from "./events.ts";
import type { SentTo, SessionFacts, Survived, SurvivingTask, TaskFacts, TenantFacts } from "./facts.ts";
import { waitingHome } from "./placement/home.ts";
import { newSet } from "./placement/replica-set.ts";
import { beginDrain } from "./pools/drain.ts";
import { phantomEpoch } from "./pools/phantom.ts";
import { addReplica, newReplica } from "./pools/replicas.ts";
import { enqueue } from "./queue/waiting.ts";
import { forgetBeyond, heldSession, newSession, watchSessions } from "./sessions.ts";
import type { PoolSettings } from "./settings.ts";
import type { Core, Live, Pool, Replica, ReplicaSet, SetKey, State } from "./state.ts";

/** Into a state that is empty. */
export function recoverState(core: Core, survived: Survived): void {
  const { state } = core;
  if (survived.settings !== null) configure(core, survived.settings);
  for (const { poolId, replicaId, facts } of survived.replicas) {
    const pool = state.pools.get(poolId);
    if (pool === undefined) continue;
    addReplica(core, pool, { replicaId, epoch: phantomEpoch, status: "starting", facts });
  }
  const tasks = [...survived.tasks].sort((a, b) => a.ordinal - b.ordinal);
  for (const facts of survived.sessions) recoverSession(core, facts);
  for (const facts of survived.tenants) recoverTenant(state, facts);
  for (const task of tasks) recoverTask(core, task);
  restIdle(state);
  // Last, since a drain ends where nothing runs, and hands over what waits.
  for (const drain of survived.drains) recoverDrain(core, drain);
  const numbers = [...tasks.map(({ ordinal }) => ordinal), ...survived.sessions.map(({ serial }) => serial)];
  state.ordinal = numbers.reduce((most, number) => Math.max(most, number), -1) + 1;
}

function recoverSession(core: Core, facts: SessionFacts): void {
  const { tenantId, sessionId, serial, expiresAtMs, turns, spent } = facts;
  const session = { ...newSession(facts, serial), expiresAtMs, turns, spent: { ...spent } };
  core.state.sessions.set(tenantId, sessionId, session);
  watchSessions(core);
}

/** Without a budget and without tasks there is nothing to remember of a tenant. */
function recoverTenant(state: State, { tenantId, spent }: TenantFacts): void {
  if (state.settings.tenantBudgets[tenantId] === undefined) return;
  state.tenants.set(tenantId, { ...tenantOf(state, tenantId), spent: { ...spent } });
}

function recoverTask(core: Core, facts: SurvivingTask): void {
  const { state } = core;
  const { tenantId, sessionId } = facts.task;
  const named = state.sessions.get(tenantId, sessionId);
  const session = named?.serial === facts.sessionSerial ? named : undefined;
  const live = enrol(state, facts, tenantOf(state, tenantId), session);
  if (session !== undefined) session.live++;
  live.readers = facts.wasRead ? 1 : 0;
  if (facts.sentTo === undefined) waitAgain(core, live);
  else runAgain(core, live, facts, facts.sentTo);
}

/** Where no replica of its set is known it waits with another one that may run it, else for one to report. */
function waitAgain(core: Core, live: Live): void {
  const found = waitingHome(core, live);
  if (found !== undefined) return enqueue(core, found.set, found.pool, live);
  const pool = poolOf(core.state, live);
  enqueue(core, setOf(core.state, live, pool), pool, live);
}

/** It holds its slot until its attempt is reported lost, however many slots there are. */
function runAgain(core: Core, live: Live, { frames, tokensOut, wasRead }: SurvivingTask, to: SentTo): void {
  const { state, nowMs } = core;
  const { attempt, poolId, replicaId, setId, digest, determinism } = to;
  Object.assign(live, { poolId, replicaId, setId, digest, determinism, tokensOut, attempts: attempt });
  // What has no tokens is answered at its end, so nothing of it can have been seen.
  const isText = live.task.workload === "completion";
  live.frames = isText && determinism === "strict" && wasRead ? Math.max(1, frames) : frames;
  live.firstPlacedAtMs = nowMs;
  const pool = poolOf(state, live);
  setOf(state, live, pool);
  const replica = pool.replicas.get(replicaId) ?? departedPhantom(core, pool, to);
  live.place = {
    kind: "running",
    attempt,
    replica,
    dispatchedAtMs: nowMs,
    expectedEndAtMs: nowMs,
    firstTokenAtMs: undefined,
    tokens: 0,
    ending: undefined,
  };
  replica.running.add(live);
}

/** For an attempt whose replica nobody remembers; it is gone once the attempt is reported lost. */
function departedPhantom(core: Core, pool: Pool, { replicaId, setId, digest }: SentTo): Replica {
  const facts: ReplicaFacts = {
    nodeId: null,
    engineVersion: null,
    modelDigest: digest,
    ctxMax: 0,
    slotsTotal: 0,
    slotsElsewhere: 0,
    vramFreeBytes: 0,
    features: [],
    speed: {},
  };
  const replica = newReplica(core, pool, { replicaId, epoch: phantomEpoch, status: "stopped", facts });
  replica.setId = setId;
  pool.departed.add(replica);
  return replica;
}

/** The pool a task counts in; one that is not configured any more stands, retired, while it has tasks. */
function poolOf(state: State, { poolId, task, determinism }: Live): Pool {
  const known = state.pools.get(poolId);
  if (known !== undefined) return known;
  const { nowMs } = state;
  const pool: Pool = {
    ...newPool(unknownPool(poolId, task, determinism)),
    retired: true,
    draining: { sinceMs: nowMs, deadlineAtMs: nowMs, ended: true, forced: true },
  };
  state.pools.set(poolId, pool);
  return pool;
}

/** The set of a task; where nobody of it is known its name has to do, until a member says what it is. */
function setOf(state: State, live: Live, pool: Pool): ReplicaSet {
  const known = state.sets.get(live.setId);
  if (known !== undefined) return known;
  const key: SetKey = {
    engine: live.task.engine,
    modelDigest: live.digest ?? live.task.modelRef,
    quant: null,
    ctx: 0,
    engineVersion: null,
    samplerProfile: pool.settings.samplerProfile,
    determinism: live.determinism,
    computeFingerprint: null,
  };
  const set = newSet(live.setId, key, pool.settings);
  set.unseen = true;
  state.sets.set(set.id, set);
  return set;
}

/** A pool of which nothing but its name is known any more; nothing is ever sent to it. */
function unknownPool(
  id: string,
  { engine, modelRef }: Pick<PoolSettings, "engine" | "modelRef">,
  determinism: Determinism,
): PoolSettings {
  return {
    id,
    engine,
    modelRef,
    determinism,
    samplerProfile: "default",
    deviceMask: "",
    maxTokensOut: 0,
    capacity: 0,
    fullPolicy: "reject",
    maxBodyBytes: 0,
    classes: { interactive: { weight: 8 }, batch: { weight: 1 } },
    tenants: {},
    edf: false,
    strictClasses: false,
    preemption: { mode: "disabled", maxPerMinute: 0, protect: [] },
    timeouts: { idleMs: 0 },
    breaker: { threshold: 1, openMs: 0, maxRestarts: 0, windowMs: 0 },
    extraBytes: 0,
  };
}

/** Who has no work is idle, and who expires first is taken to be idle for longest. */
function restIdle(state: State): void {
  const idle = [...state.sessions.values()].filter(({ live }) => live === 0);
  idle.sort((a, b) => a.expiresAtMs - b.expiresAtMs || a.serial - b.serial);
  for (const session of idle) state.idleSessions.set(session.key, session);
  forgetBeyond(state, state.settings.session.liveMax);
}

function recoverDrain(core: Core, { poolId, sinceMs, deadlineAtMs }: Survived["drains"][number]): void {
  const pool = core.state.pools.get(poolId);
  if (pool === undefined || pool.retired) return;
  pool.draining = { sinceMs, deadlineAtMs, ended: false, forced: false };
  beginDrain(core, pool, deadlineAtMs - core.nowMs);
}

export function taskFactsOf(live: Live): TaskFacts {
  return {
    jobId: live.jobId,
    task: live.task,
    fingerprint: live.known.fingerprint,
    answer: live.known.answer,
    submittedAtMs: live.submittedAtMs,
    ordinal: live.ordinal,
    bodyBytes: live.bodyBytes,
    memoryBytes: live.memoryBytes,
    promptTokens: live.promptTokens,
    ...(live.longestTokens !== live.promptTokens && { longestTokens: live.longestTokens }),
    outputTokens: live.outputTokens,
    reserved: live.reserved,
    extensions: live.extensions,
    quant: live.quant ?? null,
    computeCapability: live.computeCapability ?? null,
    digest: live.digest,
    determinism: live.determinism,
    setId: live.setId,
    poolId: live.poolId,
    sessionSerial: heldSession(live)?.serial ?? null,
  };
}

export function sentToOf(live: Live): SentTo | undefined {
  const { attempts: attempt, poolId, replicaId, setId, digest, determinism } = live;
  return replicaId === null ? undefined : { attempt, poolId, replicaId, setId, digest, determinism };
}

export function sessionFactsOf(state: State, tenantId: string, sessionId: string): SessionFacts | undefined {
  const session = state.sessions.get(tenantId, sessionId);
  if (session === undefined) return undefined;
  const { serial, expiresAtMs, turns, spent } = session;
  return { tenantId, sessionId, serial, expiresAtMs, turns, spent: { ...spent } };
}
