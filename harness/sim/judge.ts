// Who watches. It keeps its own books of what the core was told and what it decided, by means of its own, and
// throws at the first thing that may not be.

import assert from "node:assert/strict";
import type {
  AcceptTask,
  DispatchAttempt,
  Effect,
  EndTask,
  Event,
  Orchestrator,
  ReplicaReported,
} from "@llama-orch/core";
import type { Witness } from "./daemon.ts";
import { Fairness } from "./fairness.ts";
import { assertNoIdleSlot, assertTimed } from "./stillness.ts";
import { count, type Tally } from "./tally.ts";

/** What is known of a task from outside. */
export interface Case {
  readonly accepted: AcceptTask;
  readonly fingerprint: string;
  readonly submittedAtMs: number;
  readonly event: Extract<Event, { type: "TaskSubmitted" }>;
  readonly deadlineMs: number;
  firstPlacedAtMs: number | undefined;
  attempt: DispatchAttempt | undefined;
  attempts: number;
  readers: number;
  /** The attempt that was told to stop. */
  aborted: number | undefined;
  /** Attempts that ended by a fault of an engine or a node. */
  faults: number;
  /** What decided the arithmetic of its last attempt. */
  arithmetic: string | undefined;
  outcome: EndTask | undefined;
  endedAtMs: number | undefined;
  serviceMs: number;
}

interface Told {
  readonly epoch: number;
  readonly report: ReplicaReported;
  running: number;
}

interface Before {
  readonly snapshot: object;
  readonly waiting: ReadonlyMap<string, number>;
}

export interface JudgeOptions {
  readonly calm: boolean;
  readonly snapshotEvery: number;
}

export class Judge implements Witness {
  readonly cases = new Map<string, Case>();
  readonly #options: JudgeOptions;
  readonly #byTask = new Map<string, Case>();
  readonly #told = new Map<string, Told>();
  readonly #draining = new Set<string>();
  readonly #offline = new Set<string>();
  readonly #fairness: Fairness | undefined;
  #before: Before | undefined;
  #submissions = 0;
  readonly refusals: Tally = {};
  readonly notes: Tally = {};

  constructor(options: JudgeOptions) {
    this.#options = options;
    this.#fairness = options.calm ? new Fairness() : undefined;
  }

  before(event: Event, core: Orchestrator): void {
    this.#before = undefined;
    if (event.type !== "TaskSubmitted") return;
    const waiting = new Map<string, number>();
    for (const { id, waiting: own } of core.state.pools.values()) {
      waiting.set(id, own.interactive.size + own.batch.size);
    }
    const sampled = this.#submissions++ % this.#options.snapshotEvery === 0;
    this.#before = { snapshot: sampled ? unpaid(core) : {}, waiting };
  }

  after(event: Event, effects: readonly Effect[], core: Orchestrator): void {
    this.#hear(event, core);
    this.#fairness?.before(event);
    for (const effect of effects) this.#see(effect, event, core);
    this.#checkCancels(effects);
    this.#fairness?.after(effects, core);
    if (event.type === "TaskSubmitted") this.#checkSubmission(event, effects, core);
    assertNoIdleSlot(core);
    assertTimed(core);
  }

  #hear(event: Event, core: Orchestrator): void {
    switch (event.type) {
      case "ReplicaReported":
        return this.#hearReplica(event, core);
      case "ReplicaRemoved":
        this.#told.delete(`${event.poolId}/${event.replicaId}`);
        return;
      case "Configured": {
        const known = new Set(event.settings.pools.map(({ id }) => id));
        for (const [key, { report }] of this.#told) {
          if (known.has(report.poolId)) continue;
          this.#told.delete(key);
          this.#draining.delete(report.poolId);
        }
        return;
      }
      case "ReadersChanged": {
        const found = this.cases.get(event.jobId);
        if (found !== undefined) found.readers = event.readers;
        return;
      }
      case "NodeRegistered":
        this.#offline.delete(event.nodeId);
        return;
      case "Restarted":
        for (const found of this.cases.values()) found.readers = 0;
        return;
      case "AttemptEnded": {
        const found = this.cases.get(event.jobId);
        if (found?.attempt?.attempt !== event.attempt) return;
        const told = this.#told.get(keyOf(found.attempt));
        if (told !== undefined && told.epoch === found.attempt.epoch) told.running--;
        found.attempt = undefined;
        found.serviceMs = event.prefillMs + event.decodeMs;
        return;
      }
      default:
        return;
    }
  }

  /**
   * The process went and only facts are left: attempts of tasks that were over have ended with it, and how
   * often a task was tried is known no more.
   */
  processGone(): void {
    for (const found of this.cases.values()) {
      found.faults = 0;
      if (found.outcome === undefined || found.attempt === undefined) continue;
      const told = this.#told.get(keyOf(found.attempt));
      if (told !== undefined && told.epoch === found.attempt.epoch) told.running--;
      found.attempt = undefined;
    }
  }

  #hearReplica(report: ReplicaReported, core: Orchestrator): void {
    const key = `${report.poolId}/${report.replicaId}`;
    const known = this.#told.get(key);
    const pool = core.state.pools.get(report.poolId);
    if (pool === undefined || pool.retired || (known !== undefined && known.epoch > report.epoch)) return;
    const running = known?.epoch === report.epoch ? known.running : 0;
    this.#told.set(key, { epoch: report.epoch, report, running });
  }

  #see(effect: Effect, event: Event, core: Orchestrator): void {
    switch (effect.type) {
      case "AcceptTask":
        return this.#accept(effect, event);
      case "RefuseTask":
        return this.#refuse(effect);
      case "DispatchAttempt":
        return this.#dispatch(effect, event, core);
      case "EndTask":
        return this.#end(effect, event);
      case "AbortAttempt":
        (this.cases.get(effect.jobId) as Case).aborted = effect.attempt;
        return;
      case "DrainPool":
        this.#draining.add(effect.poolId);
        return;
      case "AnswerReload":
        if (event.type === "ReloadEnded") this.#draining.delete(effect.poolId);
        return;
      case "RepeatAnswer":
        count(this.notes, "repeat");
        return;
      case "Note":
        count(this.notes, effect.about === "attempt-lost" ? `lost by ${effect.label}` : effect.about);
        if (effect.about === "attempt-lost") this.#lose(effect.jobId as string, effect.label as string);
        if (effect.about === "node-offline") this.#offline.add(effect.label as string);
        if (effect.about === "node-online") this.#offline.delete(effect.label as string);
        return;
      default:
        return;
    }
  }

  #accept(accepted: AcceptTask, event: Event): void {
    assert(event.type === "TaskSubmitted", "A task is accepted that nobody sent.");
    assert(!this.cases.has(accepted.jobId), `Task ${accepted.jobId} is accepted twice.`);
    const found: Case = {
      accepted,
      fingerprint: event.fingerprint,
      submittedAtMs: event.nowMs,
      event,
      deadlineMs: event.task.deadlineMs,
      firstPlacedAtMs: undefined,
      attempt: undefined,
      attempts: 0,
      readers: 0,
      aborted: undefined,
      faults: 0,
      arithmetic: undefined,
      outcome: undefined,
      endedAtMs: undefined,
      serviceMs: 0,
    };
    this.cases.set(accepted.jobId, found);
    this.#byTask.set(`${accepted.tenantId}/${accepted.taskId}`, found);
  }

  #refuse(refusal: Extract<Effect, { type: "RefuseTask" }>): void {
    count(this.refusals, `${refusal.code} ${refusal.details.policy_label ?? ""}`.trim());
    const { retry_after_ms: afterMs } = refusal.details;
    if (refusal.code === "ADMISSION_REJECT" || refusal.code === "QUEUE_FULL_DROP_LRU") {
      assert(afterMs !== undefined, `A refusal by ${refusal.code} does not say when to try again.`);
    }
    if (afterMs === undefined) return;
    const whole = Number.isInteger(afterMs);
    assert(whole && afterMs >= 1 && afterMs <= 60_000, `A refusal says to come back in ${afterMs} ms.`);
  }

  #dispatch(dispatch: DispatchAttempt, event: Event, core: Orchestrator): void {
    const found = this.cases.get(dispatch.jobId);
    const who = `Attempt ${dispatch.attempt} of ${dispatch.jobId}`;
    assert(found !== undefined, `${who} starts, but its task was never accepted.`);
    assert(found.outcome === undefined, `${who} starts after the outcome.`);
    assert(found.attempt === undefined, `${who} starts while another one runs.`);
    assert.equal(dispatch.attempt, found.attempts + 1, `${who} has the wrong number.`);
    const told = this.#told.get(keyOf(dispatch));
    assert(told !== undefined, `${who} goes to ${keyOf(dispatch)}, of which nobody spoke.`);
    assert.equal(told.epoch, dispatch.epoch, `${who} goes to a process that is not the last one.`);
    assert.equal(told.report.status, "ready", `${who} goes to ${keyOf(dispatch)}, which is not ready.`);
    assert(!this.#draining.has(dispatch.poolId), `${who} goes to ${dispatch.poolId}, which is draining.`);
    const { nodeId } = told.report.facts;
    assert(nodeId === null || !this.#offline.has(nodeId), `${who} goes to ${nodeId}, which is offline.`);
    told.running++;
    const { slotsTotal, slotsElsewhere, ctxMax } = told.report.facts;
    const slots = slotsTotal - slotsElsewhere;
    assert(told.running <= slots, `${who} is number ${told.running} on ${slots} slots.`);
    const { task } = found.event;
    assert(task.ctx <= ctxMax, `${who} needs a context of ${task.ctx} and gets ${ctxMax}.`);
    checkWish(who, task.placement, dispatch.poolId, core);
    if (dispatch.resume !== null) count(this.notes, dispatch.resume);
    const { modelDigest, engineVersion, computeFingerprint } = told.report.facts;
    const arithmetic = `${modelDigest} ${engineVersion} ${computeFingerprint}`;
    if (dispatch.resume === "replayed")
      assert.equal(arithmetic, found.arithmetic, `${who} replays elsewhere.`);
    found.arithmetic = arithmetic;
    found.attempts++;
    found.attempt = dispatch;
    found.firstPlacedAtMs ??= event.nowMs;
    if (this.#options.calm) assert.equal(found.attempts, 1, `${who}, and nothing went wrong before.`);
  }

  /** A task is tried three times; drains, preemption and restarts are nobody's fault. */
  #lose(jobId: string, reason: string): void {
    const found = this.cases.get(jobId) as Case;
    if (!/^(drain|preempted|restart)$/.test(reason)) found.faults++;
    assert(found.faults <= 3, `Task ${jobId} has lost ${found.faults} attempts.`);
  }

  /**
   * Whose engine runs is told to stop in the same turn; whom somebody reads is not given up for want of
   * readers.
   */
  #checkCancels(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.type !== "EndTask" || effect.outcome.kind !== "canceled") continue;
      const { attempt, aborted, readers } = this.cases.get(effect.jobId) as Case;
      const read = effect.outcome.reason === "disconnect" && readers > 0;
      assert(!read, `Task ${effect.jobId} is given up while somebody reads it.`);
      const told = attempt === undefined || aborted === attempt.attempt;
      assert(told, `Task ${effect.jobId} is cancelled and its engine goes on.`);
    }
  }

  #end(end: EndTask, event: Event): void {
    const found = this.cases.get(end.jobId);
    assert(found !== undefined, `Task ${end.jobId} ends and was never accepted.`);
    assert(found.outcome === undefined, `Task ${end.jobId} ends twice.`);
    assert.equal(end.attempts, found.attempts, `Task ${end.jobId} counts its attempts wrongly.`);
    const { tokensOut } = end.outcome;
    assert(tokensOut <= found.event.task.maxTokens, `Task ${end.jobId} is charged ${tokensOut} tokens.`);
    if (end.outcome.kind === "done") assert(event.type === "AttemptEnded", `${end.jobId} is done by itself.`);
    found.outcome = end;
    found.endedAtMs = event.nowMs;
  }

  #checkSubmission(
    event: Extract<Event, { type: "TaskSubmitted" }>,
    effects: readonly Effect[],
    core: Orchestrator,
  ): void {
    const before = this.#before as Before;
    const key = `${event.task.tenantId}/${event.task.taskId}`;
    const answers = effects.filter(({ type }) => /^(AcceptTask|RefuseTask|RepeatAnswer)$/.test(type));
    assert.equal(answers.length, 1, `Task ${key} has ${answers.length} answers.`);
    const [answer] = answers;
    if (answer?.type === "RefuseTask" && "version" in before.snapshot) {
      assert.deepEqual(unpaid(core), before.snapshot, `The refusal of ${key} has changed the state.`);
    }
    if (answer?.type === "RefuseTask") {
      const others = effects.filter((effect) => effect !== answer && effect.type !== "Note");
      assert.equal(others.length, 0, `The refusal of ${key} has effects.`);
    }
    const known = this.#byTask.get(key);
    if (known !== undefined && known.accepted.jobId !== event.jobId) {
      this.#checkRepeat(event, known, answer, core.state.settings.rememberMs);
    }
    if (answer?.type !== "AcceptTask") return;
    const pool = core.state.pools.get(answer.poolId);
    const waited = before.waiting.get(answer.poolId) ?? 0;
    if (pool === undefined) return;
    const { capacity, maxQueuedTokens, maxBodyBytes } = pool.settings;
    const waiting = pool.waiting.interactive.size + pool.waiting.batch.size;
    const who = `Pool ${pool.id}`;
    assert(waiting <= Math.max(capacity, waited), `${who} takes a task as number ${waiting} of ${capacity}.`);
    if (waiting <= waited) return;
    const { waitingTokens, waitingBodyBytes } = pool;
    assert(waitingTokens <= (maxQueuedTokens ?? Infinity), `${who} holds ${waitingTokens} tokens.`);
    assert(waitingBodyBytes <= maxBodyBytes, `${who} holds ${waitingBodyBytes} bytes.`);
    const { priority } = event.task;
    const most = pool.settings.classes[priority].queueCapacity ?? Infinity;
    assert(pool.waiting[priority].size <= most, `${who} holds ${pool.waiting[priority].size} ${priority}.`);
  }

  #checkRepeat(
    event: Extract<Event, { type: "TaskSubmitted" }>,
    known: Case,
    answer: Effect | undefined,
    rememberMs: number,
  ): void {
    const forgotten = event.nowMs - (known.endedAtMs ?? event.nowMs) > rememberMs;
    if (forgotten && answer?.type !== "RefuseTask") return;
    if (event.fingerprint !== known.fingerprint) {
      assert(answer?.type === "RefuseTask", `Another task under the name of ${known.accepted.jobId}.`);
      if (!forgotten) assert.equal(answer.code, "TASK_CONFLICT");
    } else if (!forgotten) {
      assert(answer?.type === "RepeatAnswer", `${known.accepted.jobId} came again and got another answer.`);
      assert.deepEqual(answer.answer, known.accepted.answer, "A repeat got another answer.");
    }
  }
}

function keyOf({ poolId, replicaId }: DispatchAttempt): string {
  return `${poolId}/${replicaId}`;
}

function checkWish(
  who: string,
  {
    mode,
    pinPoolId,
    preferPools,
    avoidPools,
    requireDeviceMask,
    allowFallback,
  }: Case["event"]["task"]["placement"],
  poolId: string,
  core: Orchestrator,
): void {
  if (mode === "pin") assert.equal(poolId, pinPoolId, `${who} is pinned elsewhere.`);
  if (mode === "prefer" && !allowFallback) assert(preferPools.includes(poolId), `${who} prefers elsewhere.`);
  assert(!avoidPools.includes(poolId), `${who} goes where it may not.`);
  const mask = core.state.pools.get(poolId)?.settings.deviceMask;
  if (requireDeviceMask !== undefined) assert.equal(mask, requireDeviceMask, `${who} has another mask.`);
}

/** The state without what a refusal may change: the caller's rate-limit token, and the time. */
function unpaid(core: Orchestrator): object {
  const { rateBuckets, scalars, classes, ...rest } = core.snapshot();
  return { ...rest, scalars: { ...scalars, nowMs: 0 } };
}
