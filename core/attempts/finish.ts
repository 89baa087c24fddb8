// A task ends, exactly once: what it held is given back, what it used is booked, its answer is kept for
// repeats, and its outcome leaves.

import type { ErrorDetails, TaskErrorCode } from "@llama-orch/contract";
import { budgetView, settle } from "../admission/budget.ts";
import { dropIdleTenant } from "../admission/tenant.ts";
import { limits } from "../limits.ts";
import type { Outcome } from "../outcome.ts";
import { noteClassEnd } from "../pools/slo.ts";
import { dequeue } from "../queue/waiting.ts";
import { heldSession, leaveSession } from "../sessions.ts";
import type { Core, Known, Live, State } from "../state.ts";
import { clearGrace } from "./grace.ts";

export function fail(
  core: Core,
  live: Live,
  code: TaskErrorCode,
  message: string,
  details: ErrorDetails = {},
): void {
  const { tokensOut, decodeMs } = live;
  finish(core, live, { kind: "failed", code, message, details, tokensOut, decodeMs });
}

export function finish(core: Core, live: Live, outcome: Outcome): void {
  const { state, nowMs } = core;
  if (live.place?.kind === "waiting") dequeue(core, live, false);
  clearGrace(core, live);
  const holder = heldSession(live);
  live.tenant.live--;
  live.tenant.memoryBytes -= live.memoryBytes;
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
    tenantId: live.tenantId,
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
  const { tenant } = live;
  const holder = heldSession(live);
  settle(live, state.settings.session.costPerToken, holder === undefined ? [tenant] : [tenant, holder]);
  dropIdleTenant(state, tenant);
}

/** The same request gets the same answer after its end too; what is forgotten here the store still knows. */
function remember({ tasks, ended }: State, { known }: Live, nowMs: number): void {
  known.live = undefined;
  known.endedAtMs = nowMs;
  ended.push(known);
  if (ended.size <= limits.rememberedAnswers) return;
  const oldest = ended.shift() as Known;
  // The id may have been accepted again since, and then the newer record is not this one's to forget.
  const { tenantId, taskId } = oldest;
  if (tasks.get(tenantId, taskId) === oldest) tasks.delete(tenantId, taskId);
}
