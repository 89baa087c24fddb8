// A task arrives: known ones get their first answer again, the others are admitted or refused, and what was
// admitted is carried out here, all at once.

import type { Task } from "@llama-orch/contract";
import { expire } from "../attempts/expire.ts";
import { fail } from "../attempts/finish.ts";
import { noteArrival } from "../estimate/outlook.ts";
import { totalMs } from "../estimate/rates.ts";
import type { TaskSubmitted } from "../events.ts";
import type { TaskFacts } from "../facts.ts";
import type { Answer, Refusal } from "../outcome.ts";
import { preparationOf } from "../pools/readiness.ts";
import { noteTrial } from "../pools/slo.ts";
import { enqueue } from "../queue/waiting.ts";
import { takeTurn } from "../sessions.ts";
import type { Core, Known, ReplicaSet, Session, State } from "../state.ts";
import { type Admission, admit, modelNeeds } from "./admit.ts";
import { budgetView } from "./budget.ts";
import { enrol } from "./enrol.ts";
import { takeTenantToken } from "./quota.ts";
import { refuse } from "./refusal.ts";
import type { RoomPlan } from "./shed.ts";
import { tenantOf } from "./tenant.ts";

const nowhere: readonly ReplicaSet[] = [];

/** The sets whose order has changed: that of an accepted task, and those of tasks that made room for it. */
export function submit(core: Core, event: TaskSubmitted): Iterable<ReplicaSet> {
  const { tenantId, taskId, engine } = event.task;
  const known = knownAnswer(core, event);
  const result = known ?? admit(core, event);
  if ("jobId" in result) {
    core.emit({ type: "RepeatAnswer", jobId: result.jobId, answer: result });
    return nowhere;
  }
  if ("code" in result) {
    const details = { engine, ...result.details };
    core.emit({ type: "RefuseTask", tenantId, taskId, ...result, details });
    return nowhere;
  }
  return accept(core, event, result);
}

/** An id that was accepted before: the same request again, or another one under the same name. */
function knownAnswer({ state, nowMs }: Core, event: TaskSubmitted): Answer | Refusal | undefined {
  const known = remembered(state, nowMs, event.task) ?? event.remembered;
  if (known === undefined) return undefined;
  if (known.fingerprint === event.fingerprint) return known.answer;
  return refuse("TASK_CONFLICT", `The task ${event.task.taskId} was accepted before with other fields.`);
}

function remembered(state: State, nowMs: number, { tenantId, taskId }: Task): Known | undefined {
  const known = state.tasks.get(tenantId, taskId);
  if (known === undefined || nowMs - (known.endedAtMs ?? nowMs) <= state.settings.rememberMs) return known;
  return undefined;
}

function accept(core: Core, event: TaskSubmitted, admission: Admission): Iterable<ReplicaSet> {
  const { state, nowMs } = core;
  const { target, room } = admission;
  const left = room.expire.length + room.evict.length === 0 ? nowhere : setsOf(state, room);
  makeRoom(core, room);
  const tenant = tenantOf(state, event.task.tenantId);
  const session = takeTurn(core, event.task, admission.session);
  takeTenantToken(state, nowMs, tenant.id, admission.lead);
  const live = enrol(state, factsOf(core, event, admission, session), tenant, session);
  noteTrial(core, live);
  const { service } = target.prediction;
  if (service !== undefined) noteArrival(target.set, live.priority, totalMs(service), nowMs);
  enqueue(core, target.set, target.pool, live);
  core.emit({
    type: "AcceptTask",
    jobId: live.jobId,
    tenantId: tenant.id,
    taskId: event.task.taskId,
    poolId: target.pool.id,
    answer: live.known.answer,
    budget: budgetView(state, nowMs, session),
    samplerProfile: event.task.samplerProfile ?? target.pool.settings.samplerProfile,
  });
  return left === nowhere ? [target.set] : new Set([target.set, ...left]);
}

function setsOf({ sets }: State, { expire: expired, evict }: RoomPlan): ReplicaSet[] {
  return [...expired, ...evict].map((live) => sets.get(live.setId) as ReplicaSet);
}

function factsOf(core: Core, event: TaskSubmitted, admission: Admission, session: Session): TaskFacts {
  const { task, jobId } = event;
  const { target, promptTokens, longestTokens, outputTokens, reservation } = admission;
  const { key } = target.set;
  const { extensions, quant, computeCapability } = modelNeeds(event);
  return {
    jobId,
    task,
    fingerprint: event.fingerprint,
    answer: {
      jobId,
      queuePosition: target.prediction.position,
      predictedStartMs: target.prediction.startMs,
      preparation: preparationOf(target.pool, target.readiness),
    },
    submittedAtMs: core.nowMs,
    ordinal: core.state.ordinal++,
    bodyBytes: event.bodyBytes,
    memoryBytes: event.memoryBytes ?? 0,
    promptTokens,
    longestTokens,
    outputTokens,
    reserved: reservation,
    extensions,
    quant: quant ?? null,
    computeCapability: computeCapability ?? null,
    digest: key.modelDigest,
    determinism: key.determinism,
    setId: target.set.id,
    poolId: target.pool.id,
    sessionSerial: session.serial,
  };
}

/** Those that have to go end with the words of the policy that sent them away. */
function makeRoom(core: Core, { expire: expired, evict, by, retryMs }: RoomPlan): void {
  for (const live of expired) expire(core, live);
  for (const live of evict) {
    const { poolId, jobId } = live;
    core.emit({ type: "Note", about: "backpressure", poolId, label: by === "preempted" ? "reject" : by });
    if (by === "preempted") core.emit({ type: "Note", about: "preempted-soft", poolId, jobId });
    const code = by === "drop-lru" ? "QUEUE_FULL_DROP_LRU" : "ADMISSION_REJECT";
    const message = "The task was waiting and had to make room for other work. Send it again later.";
    fail(core, live, code, message, { policy_label: by, retry_after_ms: retryMs });
  }
}
