// A task becomes a live one: with its name, its accounts and all that it starts from. Where it waits or runs
// is for whoever enrols it.

import type { TaskFacts } from "../facts.ts";
import { laneOf } from "../placement/candidates.ts";
import type { Live, Session, State, Tenant } from "../state.ts";
import { reserve } from "./budget.ts";

export function enrol(state: State, facts: TaskFacts, tenant: Tenant, session: Session | undefined): Live {
  if (tenant.live === 0) state.tenants.set(tenant.id, tenant);
  reserve(facts.reserved, session === undefined ? [tenant] : [tenant, session]);
  tenant.live++;
  tenant.memoryBytes += facts.memoryBytes;
  const live = liveOf(facts, tenant, session);
  state.jobs.set(live.jobId, live);
  state.tasks.set(tenant.id, live.task.taskId, live.known);
  live.known.live = live;
  return live;
}

function liveOf(facts: TaskFacts, tenant: Tenant, session: Session | undefined): Live {
  const { jobId, task, promptTokens, longestTokens = promptTokens, outputTokens, extensions } = facts;
  const quant = facts.quant ?? undefined;
  const computeCapability = facts.computeCapability ?? undefined;
  return {
    jobId,
    task,
    known: {
      tenantId: tenant.id,
      taskId: task.taskId,
      fingerprint: facts.fingerprint,
      answer: facts.answer,
      live: undefined,
      endedAtMs: undefined,
    },
    submittedAtMs: facts.submittedAtMs,
    bodyBytes: facts.bodyBytes,
    memoryBytes: facts.memoryBytes,
    extensions,
    quant,
    computeCapability,
    reserved: facts.reserved,
    tenant,
    session,
    over: false,
    ordinal: facts.ordinal,
    deadlineAtMs: facts.submittedAtMs + task.deadlineMs,
    // The account's own copy of the name: all tasks of a tenant share it.
    tenantId: tenant.id,
    priority: task.priority,
    cost: promptTokens + outputTokens,
    promptTokens,
    longestTokens,
    outputTokens,
    lane: laneOf(task, { extensions, quant, computeCapability }),
    digest: facts.digest,
    determinism: facts.determinism,
    setId: facts.setId,
    poolId: facts.poolId,
    place: undefined,
    watched: false,
    attempts: 0,
    replicaId: null,
    faults: 0,
    faultsByReplica: undefined,
    resume: undefined,
    frames: 0,
    readers: 0,
    grace: false,
    firstPlacedAtMs: undefined,
    tokensOut: 0,
    decodeMs: 0,
  };
}
