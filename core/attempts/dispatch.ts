// An attempt begins: the task leaves the queue, takes a slot, and its engine may start.

import type { Decision, DispatchAttempt } from "../effects.ts";
import { serviceOn } from "../estimate/outlook.ts";
import { totalMs } from "../estimate/rates.ts";
import { limits } from "../limits.ts";
import { placeName } from "../placement/strategy.ts";
import { noteSent } from "../pools/breaker.ts";
import { dequeue } from "../queue/waiting.ts";
import { heldSession } from "../sessions.ts";
import type { Core, Live, Pool, Replica, ReplicaSet } from "../state.ts";

export function dispatch(
  core: Core,
  set: ReplicaSet,
  live: Live,
  replica: Replica,
  decision: Decision,
): void {
  const { state, nowMs } = core;
  const pool = state.pools.get(replica.poolId) as Pool;
  state.lastPlace = placeName(replica.facts.nodeId, pool.id);
  noteSent(pool.breaker, nowMs, live.jobId);
  dequeue(core, live, true);
  const service = serviceOn(set, live);
  live.attempts++;
  live.poolId = pool.id;
  live.replicaId = replica.replicaId;
  live.place = {
    kind: "running",
    attempt: live.attempts,
    replica,
    dispatchedAtMs: nowMs,
    expectedEndAtMs: nowMs + (service === undefined ? 0 : totalMs(service)),
    firstTokenAtMs: undefined,
    tokens: 0,
    ending: undefined,
  };
  replica.running.add(live);
  noteSession(live, replica);
  core.emit({
    type: "DispatchAttempt",
    jobId: live.jobId,
    attempt: live.attempts,
    poolId: pool.id,
    replicaId: replica.replicaId,
    epoch: replica.epoch,
    nodeId: replica.facts.nodeId,
    resume: live.resume?.kind ?? null,
    preempted: live.resume?.preempted ?? false,
    limits: limitsOf(core, live, pool, service?.prefillMs ?? 0),
    waited: waitOf(core, live),
    reuseCache: set.key.determinism === "best_effort" && live.task.kvHint === "reuse",
    decision,
  });
  if (live.resume?.preempted === true) core.emit({ type: "Note", about: "resumed", jobId: live.jobId });
}

function noteSession(live: Live, replica: Replica): void {
  const session = heldSession(live);
  if (session === undefined) return;
  if (session.lastReplica !== replica.key) session.kvWarm = false;
  session.lastReplica = replica.key;
}

/** Told once per task, when its first attempt is placed. */
function waitOf(core: Core, live: Live): DispatchAttempt["waited"] {
  if (live.firstPlacedAtMs !== undefined) return null;
  live.firstPlacedAtMs = core.nowMs;
  const ms = core.nowMs - live.submittedAtMs;
  return { ms, predictionErrorMs: Math.abs(ms - live.known.answer.predictedStartMs) };
}

/** An attempt stops when what was reserved is used up. Only a continuation starts with some of it used. */
function limitsOf(core: Core, live: Live, pool: Pool, prefillMs: number): DispatchAttempt["limits"] {
  const { timeouts } = pool.settings;
  const { budgets } = core.state.settings.session;
  const timed = budgets.timeMs ?? core.state.settings.tenantBudgets[live.tenantId]?.timeMs;
  const computed = Math.max(limits.firstTokenMinMs, Math.ceil(limits.firstTokenPrefillFactor * prefillMs));
  const before = live.resume?.kind === "continued" ? live : { tokensOut: 0, decodeMs: 0 };
  return {
    maxTokens: live.task.maxTokens - before.tokensOut,
    firstTokenMs: timeouts.firstTokenMs ?? computed,
    idleMs: timeouts.idleMs,
    wallMs: timeouts.wallMs ?? null,
    budgetMs: timed === undefined ? null : Math.max(1, live.reserved.timeMs - before.decodeMs),
  };
}
