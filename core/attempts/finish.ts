// A task ends, exactly once: what it held is given back, what it used is booked, its answer is kept for
// repeats, and its outcome leaves.

import type { ErrorDetails, TaskErrorCode } from "@llama-orch/contract";
import { budgetView, settle } from "../admission/budget.ts";
import { dropIdleTenant, tenantOf } from "../admission/tenant.ts";
import { limits } from "../limits.ts";
import type { Outcome } from "../outcome.ts";
import { noteClassEnd } from "../pools/slo.ts";
import { dequeue } from "../queue/waiting.ts";
import { leaveSession } from "../sessions.ts";
import type { Core, Ended, Live, Session, State } from "../state.ts";
import { clearGrace } from "./grace.ts";

export function fail(
  core: Core,
  live: Live,
  code: TaskErrorCode,
  message: string,
  details: ErrorDetails = {},
): void {
  finish(core, live, { kind: "failed", code, message, details, ...spentBy(live) });
}

export function spentBy({ tokensOut, decodeMs }: Live): { tokensOut: number; decodeMs: number } {
  return { tokensOut, decodeMs };
}

export function finish(core: Core, live: Live, outcome: Outcome): void {
  const { state, nowMs } = core;
  if (live.place?.kind === "waiting") dequeue(core, live, false);
  clearGrace(core, live);
  const tenant = tenantOf(state, live.task.tenantId);
  const holder = heldSession(state, live);
  tenant.live--;
  tenant.memoryBytes -= live.memoryBytes;
  if (live.place === undefined) settleAccounts(state, live);
  if (holder !== undefined) leaveSession(state, holder);
  live.over = true;
  if (live.place === undefined) state.jobs.delete(live.jobId);
  remember(state, live, nowMs);
  const onTime = outcome.kind === "done" && nowMs <= live.deadlineAtMs;
  noteClassEnd(core, live, outcome);
  core.emit({
    type: "EndTask",
    jobId: live.jobId,
    tenantId: live.task.tenantId,
    taskId: live.task.taskId,
    poolId: live.poolId,
    replicaId: live.replicaId,
    attempts: live.attempts,
    outcome,
    onTime,
    budget: budgetView(state, nowMs, holder),
  });
}

/** What was delivered is known once no attempt runs any more; until then all of it stays reserved. */
export function settleAccounts(state: State, live: Live): void {
  const tenant = tenantOf(state, live.task.tenantId);
  const holder = heldSession(state, live);
  settle(live, state.settings.session.costPerToken, holder === undefined ? [tenant] : [tenant, holder]);
  dropIdleTenant(state, tenant);
}

/** A session that was deleted, or began anew, owes this task nothing and is owed nothing by it. */
function heldSession(state: State, live: Live): Session | undefined {
  const session = state.sessions.get(live.sessionKey);
  return session?.serial === live.sessionSerial ? session : undefined;
}

/** The same request gets the same answer after its end too; what is forgotten here the store still knows. */
function remember({ tasks, ended }: State, { key, known }: Live, nowMs: number): void {
  known.live = undefined;
  known.endedAtMs = nowMs;
  ended.push({ key, known });
  if (ended.size <= limits.rememberedAnswers) return;
  const oldest = ended.shift() as Ended;
  // The id may have been accepted again since, and then the newer record is not this one's to forget.
  if (tasks.get(oldest.key) === oldest.known) tasks.delete(oldest.key);
}
