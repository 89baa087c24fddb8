// The way of a new task in, in one fixed order: is it known, can it fit, may it run, may this caller and
// tenant, is there a pool, is there room, can it be in time. All of it only reads; a refusal consumes nothing
// but the caller's rate-limit token. The first reason is the one that is told.

import { drainInMs, newDrain } from "../estimate/backoff.ts";
import { serviceOn } from "../estimate/outlook.ts";
import { totalMs } from "../estimate/rates.ts";
import { roomInMs, unknownGapMs } from "../estimate/room.ts";
import type { TaskSubmitted, Verdict } from "../events.ts";
import { limits } from "../limits.ts";
import type { Refusal } from "../outcome.ts";
import type { ModelNeeds } from "../placement/feasible.ts";
import { modelFor } from "../pools/canary.ts";
import { shedMs } from "../pools/slo.ts";
import { findSession } from "../sessions.ts";
import type { Core, Live, Pool, ReplicaSet, Reservation, Session, Tenant } from "../state.ts";
import { checkBudgets, reservationOf } from "./budget.ts";
import { guardDeterminism, guardModel, guardPin, guardTokens, promptTokensOf } from "./guard.ts";
import { closed, noPool } from "./pool-state.ts";
import { checkTenantQuota, takeClientToken } from "./quota.ts";
import { refuse } from "./refusal.ts";
import { planRoom, type RoomPlan } from "./shed.ts";
import { poolsFor, type Target, targetsFor } from "./target.ts";
import { tenantOf } from "./tenant.ts";

/** Everything that was found out on the way in, for whoever carries it out. */
export interface Admission {
  readonly target: Target;
  readonly room: RoomPlan;
  readonly reservation: Reservation;
  /** Undefined where it has to begin. */
  readonly session: Session | undefined;
  /** Speaks for all pools of the model in what is counted per client or tenant, not per pool. */
  readonly lead: Pool;
  readonly promptTokens: number;
  readonly longestTokens: number;
  readonly outputTokens: number;
}

export function admit(core: Core, event: TaskSubmitted): Admission | Refusal {
  const { state, nowMs } = core;
  const { task } = event;
  const session = findSession(state, nowMs, task);
  const pinned = task.placement.mode === "pin";
  const modelRef = pinned ? task.modelRef : modelFor(state, task);
  const pools = poolsFor(state, modelRef, task);
  // Quotas and rates count across pools and come before one is chosen; so the first configured one sets them.
  const [lead] = pools;
  const reservation = reservationOf(state, task, pools);
  return (
    guardPin(event, state) ??
    guardTokens(event, pools, ctxOf) ??
    guardDeterminism(event, pools) ??
    guardDeadline(event) ??
    guardModel(event, state.models.get(modelRef), session) ??
    takeClientToken(state, nowMs, event.client, task.priority, lead) ??
    guardVerdict(event) ??
    checkAccounts(core, event, session, tenantOf(state, task.tenantId), lead, reservation) ??
    closed(state) ??
    findPlace(core, event, pools, reservation, session)
  );
}

function ctxOf(pool: Pool): number {
  let ctxMax = 0;
  for (const { facts } of pool.replicas.values()) ctxMax = Math.max(ctxMax, facts.ctxMax);
  return ctxMax === 0 ? limits.ctxDefault : ctxMax;
}

function guardDeadline({ task }: TaskSubmitted): Refusal | undefined {
  if (task.deadlineMs > 0) return undefined;
  const message =
    `The task would finish in 1 ms at the earliest, and its deadline of ${task.deadlineMs} ms from admission ` +
    "has already passed.";
  return refuse("DEADLINE_UNMET", message);
}

function guardVerdict({ verdict }: TaskSubmitted): Refusal | undefined {
  if (verdict?.kind !== "reject") return undefined;
  const message = `A policy of this installation refused the task: ${verdict.reason ?? "it gave no reason"}.`;
  return refuse("ADMISSION_REJECT", message, {
    policy_label: "reject",
    retry_after_ms: limits.retryAfterMaxMs,
  });
}

function checkAccounts(
  core: Core,
  event: TaskSubmitted,
  session: Session | undefined,
  tenant: Tenant,
  lead: Pool | undefined,
  reservation: Reservation,
): Refusal | undefined {
  const { state, nowMs } = core;
  const { maxTurns } = state.settings.session;
  const nextMs = () => drainInMs(lead?.drain ?? newDrain(), nowMs, 1, unknownGapMs);
  const quota = checkTenantQuota(state, nowMs, tenant, event.memoryBytes ?? 0, lead, nextMs);
  if (quota !== undefined) return quota;
  if (session !== undefined && session.turns >= maxTurns) {
    const message = `session_max_turns: the session has taken its ${maxTurns} turns. Begin a new session.`;
    return refuse("INVALID_PARAMS", message);
  }
  return checkBudgets(state, reservation, session, tenant);
}

function findPlace(
  core: Core,
  event: TaskSubmitted,
  pools: readonly Pool[],
  reservation: Reservation,
  session: Session | undefined,
): Admission | Refusal {
  const { task } = event;
  const longestTokens = promptTokensOf(event);
  const promptTokens = event.allTokens ?? longestTokens;
  const outputTokens = Math.min(task.expectedTokens ?? task.maxTokens, task.maxTokens) || 1;
  const shed = shedMs(core, task.priority);
  if (shed > 0) {
    const message = `${task.priority} tasks miss their objectives and are held back for now.`;
    return refuse("ADMISSION_REJECT", message, { policy_label: "circuit-open", retry_after_ms: shed });
  }
  const { extensions, quant, computeCapability } = modelNeeds(event);
  const memoryBytes = event.memoryBytes ?? 0;
  const tokens = { promptTokens, longestTokens, outputTokens };
  const needs = { ...tokens, memoryBytes, extensions, quant, computeCapability };
  const targets = wished(targetsFor(core, task, pools, needs), event.verdict);
  if (targets.length === 0) return noPool(core, event, pools, needs);
  const place = choose(core, event, targets, outputTokens);
  if ("code" in place) return place;
  const lead = pools[0] as Pool;
  const { target, room } = place;
  return { target, room, reservation, session, lead, ...tokens };
}

/**
 * A policy may name the pool it would have; it is a wish, and gives way where that pool cannot take the task.
 */
function wished(targets: Target[], verdict: Verdict | undefined): Target[] {
  if (verdict?.kind !== "place") return targets;
  const isWished = ({ pool }: Target) => pool.id === verdict.poolId;
  return [...targets.filter(isWished), ...targets.filter((target) => !isWished(target))];
}

export function modelNeeds({ extensions = none, quant, computeCapability }: TaskSubmitted): ModelNeeds {
  return { extensions, quant, computeCapability };
}

const none: readonly string[] = [];

interface Place {
  readonly target: Target;
  readonly room: RoomPlan;
}

/**
 * The first target with room where the task ends in time. A full policy acts only when no such target has
 * room as it is. Room is told before the deadline: a task is late only where it could have waited at all.
 */
function choose(
  core: Core,
  event: TaskSubmitted,
  targets: readonly Target[],
  outputTokens: number,
): Place | Refusal {
  const newcomer = { priority: event.task.priority, outputTokens, bodyBytes: event.bodyBytes };
  let evicting: Place | undefined;
  let full: Refusal | undefined;
  let soonest: Target | undefined;
  for (const target of targets) {
    const { pool, set, prediction } = target;
    const room = planRoom(
      pool,
      newcomer,
      () => hopelessIn(core, pool),
      (lack) => roomInMs(core, { pool, set, priority: newcomer.priority, service: prediction.service }, lack),
    );
    if ("code" in room) {
      full = full === undefined ? room : sooner(full, room);
    } else if (finishOf(target) > event.task.deadlineMs) {
      if (soonest === undefined || finishOf(target) < finishOf(soonest)) soonest = target;
    } else if (room.evict.length === 0) {
      return { target, room };
    } else {
      evicting ??= { target, room };
    }
  }
  return evicting ?? (soonest === undefined ? (full as Refusal) : unmet(event, soonest));
}

/** The first reason is told, and the time of whichever queue has room first. */
function sooner(first: Refusal, { details }: Refusal): Refusal {
  const { retry_after_ms: ms = Infinity } = first.details;
  const { retry_after_ms: otherMs = Infinity } = details;
  return otherMs < ms ? { ...first, details: { ...first.details, retry_after_ms: otherMs } } : first;
}

/** Waiting tasks of the pool that could not end in time even if they started now. */
function* hopelessIn({ state, nowMs }: Core, pool: Pool): Iterable<Live> {
  for (const priority of ["batch", "interactive"] as const) {
    for (const live of pool.waiting[priority].items()) {
      const set = state.sets.get(live.setId) as ReplicaSet;
      const leastMs = serviceOn(set, live)?.prefillMs ?? 0;
      if (nowMs + leastMs >= live.deadlineAtMs) yield live;
    }
  }
}

/** A prediction misses by its measured spread; a promise about a deadline keeps this many in reserve. */
const spreadsInReserve = 2;

/** From now, and with what is kept in reserve. */
function finishOf({ prediction }: Target): number {
  const { startMs, service, varianceMs2 } = prediction;
  const expectedMs = startMs + (service === undefined ? 0 : totalMs(service));
  const reserveMs = service?.measured === true ? spreadsInReserve * Math.sqrt(varianceMs2) : 0;
  return Math.round(expectedMs + reserveMs);
}

function unmet({ task }: TaskSubmitted, target: Target): Refusal {
  const { startMs } = target.prediction;
  const finishMs = finishOf(target);
  const message =
    `The task would finish in about ${finishMs} ms (start in ${startMs} ms), after its deadline of ` +
    `${task.deadlineMs} ms. Allow at least ${finishMs} ms.`;
  return refuse("DEADLINE_UNMET", message, { earliest_finish_ms: finishMs, predicted_start_ms: startMs });
}
