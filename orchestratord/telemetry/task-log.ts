// The life of each task in the log: admitted or refused, placed, first token, lost, ended. One line per event
// with everything that is known then; never one per token.

import type { LogRecord, OrchestratordConfig, Priority, Task } from "@llama-orch/contract";
import type {
  AcceptTask,
  AnswerReload,
  DispatchAttempt,
  DrainPool,
  Effect,
  EndDrain,
  EndTask,
  Event,
  FirstToken,
  NoPlace,
  Note,
  Orchestrator,
  RefuseTask,
  TaskSubmitted,
} from "@llama-orch/core";
import type { TaskRecord } from "../task-record.ts";
import type { Tasks } from "../tasks.ts";
import type { Level, Log, LogFields } from "./log.ts";
import type { Narrator, Told } from "./narration.ts";

export interface TaskLogOptions {
  readonly log: Log;
  readonly narrator: Narrator;
  readonly tasks: Tasks;
  readonly core: Orchestrator;
  readonly config: OrchestratordConfig;
}

const actor = "orchestratord";

export class TaskLog {
  readonly #options: TaskLogOptions;

  constructor(options: TaskLogOptions) {
    this.#options = options;
  }

  handled(event: Event, effects: readonly Effect[]): void {
    if (event.type === "FirstToken") this.#firstToken(event);
    for (const effect of effects) {
      switch (effect.type) {
        case "AcceptTask":
          this.#admitted(effect);
          break;
        case "RefuseTask":
          if (event.type === "TaskSubmitted") this.#refused(event, effect);
          break;
        case "DispatchAttempt":
          this.#placed(effect);
          break;
        case "EndTask":
          this.#ended(effect);
          break;
        case "DrainPool":
        case "EndDrain":
        case "AnswerReload":
          this.#pool(effect);
          break;
        case "Note":
          this.#noted(effect);
          break;
        default:
      }
    }
  }

  trouble(what: string, cause: unknown, record: TaskRecord | undefined): void {
    const reason = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    const known = record === undefined ? {} : nameOf(record);
    this.#options.log.write("error", "trouble", { human: what, ...known, details: { reason } });
  }

  #say(level: Level, event: string, told: Told, fields: LogFields): void {
    const { log, narrator } = this.#options;
    const human = narrator.tell(told);
    log.write(level, event, { human, ...fields });
  }

  #admitted({ jobId, answer, poolId }: AcceptTask): void {
    const record = this.#options.tasks.job(jobId);
    if (record === undefined) return;
    const { task, correlationId } = record;
    const { queuePosition: queue_position, predictedStartMs } = answer;
    const predicted_start_ms = Math.round(predictedStartMs);
    const ahead = queue_position === 0 ? "at the head of its class" : `behind ${queue_position} of its class`;
    const human = `Admits ${article(task.priority)} task for ${task.modelRef}, ${ahead}, start in ${predicted_start_ms} ms.`;
    const said = { queue_position, predicted_start_ms, pool_id: poolId };
    this.#say(
      "info",
      "task_admitted",
      {
        actor,
        action: "admit",
        target: "task",
        human,
        correlation_id: correlationId,
        job_id: jobId,
        ...said,
      },
      {
        ...nameOf(record),
        ...said,
        identity: record.identity,
        client_id: record.client,
        priority: task.priority,
        weight: this.#weightOf(record, poolId),
        deadline_ms: task.deadlineMs,
        on_time_probability: this.#options.core.progress(jobId)?.onTimeProbability ?? null,
        preempted: false,
        model_id: task.modelRef,
        ctx: task.ctx,
        seed: task.seed,
      },
    );
  }

  /** Where no replica could take the task, the reason is the word for that, and the sentence is a detail. */
  #refused({ task, client }: TaskSubmitted, { code, message, details, noPlace }: RefuseTask): void {
    const human = `Refuses ${article(task.priority)} task for ${task.modelRef}: ${code}.`;
    this.#say(
      "warn",
      "task_refused",
      { actor, action: "refuse", target: "task", human, task_id: task.taskId, error_kind: code },
      {
        task_id: task.taskId,
        session_id: task.sessionId,
        tenant_id: task.tenantId,
        client_id: client,
        engine: task.engine,
        model_id: task.modelRef,
        priority: task.priority,
        error_kind: code,
        retry_after_ms: details.retry_after_ms ?? null,
        ...(noPlace === undefined ? { reason: message } : decisionOf(task.placement, noPlace, message)),
      },
    );
  }

  #placed({ jobId, attempt, poolId, replicaId, decision, waited }: DispatchAttempt): void {
    const record = this.#options.tasks.job(jobId);
    if (record === undefined) return;
    const again = attempt === 1 ? "" : ` as attempt ${attempt}`;
    const human = `Places ${article(record.task.priority)} task on ${poolId}/${replicaId}${again}.`;
    const where = { pool_id: poolId, replica_id: replicaId };
    this.#say(
      "info",
      "task_placed",
      {
        actor,
        action: "place",
        target: "task",
        human,
        correlation_id: record.correlationId,
        job_id: jobId,
        ...where,
      },
      {
        ...nameOf(record),
        ...where,
        queue_time_ms: waited === null ? null : Math.round(waited.ms),
        selected_pool_id: poolId,
        candidates_considered: {
          candidates_total: decision.candidatesTotal,
          candidates_feasible: decision.candidatesFeasible,
        },
        filters_applied: [...decision.filters],
        tie_breakers_applied: [...decision.tieBreakers],
        pinned: decision.pinned,
        fallback_used: decision.fallback,
      },
    );
  }

  #firstToken({ jobId, nowMs }: FirstToken): void {
    const record = this.#options.tasks.job(jobId);
    if (record === undefined || record.firstTokenAtMs !== undefined) return;
    const first_token_ms = Math.round(nowMs - (record.startedAtMs ?? nowMs));
    const human = `Streams the first token after ${first_token_ms} ms.`;
    this.#say(
      "info",
      "stream_started",
      { actor, action: "stream", target: "task", human, correlation_id: record.correlationId, job_id: jobId },
      { ...nameOf(record), first_token_ms },
    );
  }

  /** The last line of a task names every field; what is not known is null. */
  #ended({ jobId, outcome, attempts, onTime }: EndTask): void {
    const { tasks, core } = this.#options;
    const record = tasks.job(jobId);
    if (record === undefined) return;
    const { task, placed, correlationId } = record;
    const decode_time_ms = Math.round(outcome.decodeMs);
    const tokens_out = record.tokensOut;
    const code = outcome.kind === "failed" ? outcome.code : null;
    const [event, level] = endings[outcome.kind];
    const how = outcome.kind === "done" ? "Finishes" : outcome.kind === "canceled" ? "Cancels" : "Fails";
    const human = `${how} ${article(task.priority)} task after ${tokens_out} tokens${code === null ? "" : `: ${code}`}.`;
    const reported = { tokens_out, decode_time_ms };
    const queueMs = record.startedAtMs === undefined ? null : record.startedAtMs - record.submittedAtMs;
    this.#say(
      level,
      event,
      {
        actor,
        action: "end",
        target: "task",
        human,
        correlation_id: correlationId,
        job_id: jobId,
        ...reported,
      },
      {
        ...nameOf(record),
        ...reported,
        client_id: record.client,
        engine_version: placed?.engineVersion ?? null,
        pool_id: placed?.poolId ?? null,
        replica_id: placed?.replicaId ?? null,
        model_id: task.modelRef,
        model_digest: placed?.modelDigest ?? null,
        ...this.#engineFacts(placed),
        ctx: task.ctx,
        sampler_profile_version: record.samplerProfile,
        kv_warmth: core.session(task.tenantId, task.sessionId).kv_warmth,
        kv_migrated: false,
        queue_position: record.answer.queuePosition,
        predicted_start_ms: Math.round(record.answer.predictedStartMs),
        queue_time_ms: queueMs,
        first_token_ms:
          record.firstTokenAtMs === undefined ? null : record.firstTokenAtMs - (record.startedAtMs ?? 0),
        tokens_in: record.tokensIn ?? null,
        eviction_events: null,
        oom_events: null,
        driver_reset_events: null,
        priority: task.priority,
        weight: this.#weightOf(record, record.poolId),
        deadline_ms: task.deadlineMs,
        on_time_probability: onTime ? 1 : 0,
        preempted: placed?.dispatch.preempted ?? false,
        error_kind: code,
        ...(outcome.kind === "failed" && { reason: outcome.message }),
        details: { attempts },
      },
    );
  }

  #pool(effect: DrainPool | EndDrain | AnswerReload): void {
    const { poolId: pool_id } = effect;
    const [event, human] = poolWords(effect);
    const action = event === "pool_reloaded" ? "reload" : "drain";
    this.#say("info", event, { actor, action, target: "pool", human, pool_id }, { pool_id });
  }

  #noted({ about, poolId, jobId, label }: Note): void {
    const record = jobId === undefined ? undefined : this.#options.tasks.job(jobId);
    const words = about.replaceAll("-", " ");
    const human = `Notes: ${words}${label === undefined ? "" : ` (${label})`}.`;
    this.#say(
      worrying.has(about) ? "warn" : "info",
      about.replaceAll("-", "_"),
      { actor, action: "note", target: record === undefined ? "pool" : "task", human },
      {
        ...(record !== undefined && nameOf(record)),
        ...(poolId !== undefined && { pool_id: poolId }),
        ...(label !== undefined && { reason: label }),
      },
    );
  }

  #engineFacts(placed: TaskRecord["placed"]): Pick<LogFields, "quant" | "tensor_split"> {
    const { core, config } = this.#options;
    if (placed === undefined) return { quant: null, tensor_split: null };
    const { poolId, replicaId } = placed;
    const facts = core.state.pools.get(poolId)?.replicas.get(replicaId)?.facts;
    const pool = config.pools.find(({ id }) => id === poolId);
    return {
      quant: facts?.quant ?? null,
      tensor_split: pool?.tensor_split === undefined ? null : [...pool.tensor_split],
    };
  }

  #weightOf({ task }: TaskRecord, poolId: string): number | null {
    const settings = this.#options.core.state.pools.get(poolId)?.settings;
    if (settings === undefined) return null;
    return settings.classes[task.priority].weight * (settings.tenants[task.tenantId]?.weight ?? 1);
  }
}

function decisionOf({ mode }: Task["placement"], noPlace: NoPlace, message: string): LogFields {
  return {
    candidates_considered: {
      candidates_total: noPlace.candidatesTotal,
      candidates_feasible: noPlace.candidatesFeasible,
    },
    pinned: mode === "pin",
    fallback_used: false,
    reason: noPlace.reason,
    details: { message },
  };
}

const endings = {
  done: ["task_done", "info"],
  canceled: ["task_canceled", "info"],
  failed: ["task_failed", "warn"],
} as const satisfies Record<string, readonly [string, LogRecord["level"]]>;

const worrying = new Set<string>([
  "attempt-lost",
  "replay-mismatch",
  "breaker-opened",
  "class-shed",
  "slo-frozen",
  "node-offline",
  "driver-reset",
  "restart-storm",
]);

function nameOf({ jobId, task, correlationId }: TaskRecord): LogFields {
  return {
    correlation_id: correlationId,
    job_id: jobId,
    task_id: task.taskId,
    session_id: task.sessionId,
    tenant_id: task.tenantId,
    engine: task.engine,
  };
}

function poolWords(effect: DrainPool | EndDrain | AnswerReload): [event: string, human: string] {
  switch (effect.type) {
    case "DrainPool":
      return ["pool_draining", `Drains pool ${effect.poolId}: it takes no more work.`];
    case "EndDrain": {
      const forced = effect.forceStopped ? ", some work stopped" : "";
      return [
        "pool_drained",
        `Ends the drain of pool ${effect.poolId} after ${effect.durationMs} ms${forced}.`,
      ];
    }
    case "AnswerReload": {
      const how = effect.ok ? "Serves" : "Still serves";
      return ["pool_reloaded", `${how} ${effect.modelRef} from pool ${effect.poolId} after the reload.`];
    }
    default:
      return effect satisfies never;
  }
}

const article = (priority: Priority): string =>
  priority === "interactive" ? `an ${priority}` : `a ${priority}`;
