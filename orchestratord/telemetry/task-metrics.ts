// Metrics of tasks: what the core decided and what engines delivered, counted as it happens. Gauges that show
// a present state are read when somebody scrapes.

import { FullPolicy, ModelState, type OrchestratordConfig, Priority, type Task } from "@llama-orch/contract";
import type {
  AttemptEnded,
  DispatchAttempt,
  Effect,
  EndTask,
  Event,
  FirstToken,
  Note,
  Orchestrator,
  RefuseTask,
} from "@llama-orch/core";
import type { Clock } from "../clock.ts";
import type { TaskRecord } from "../task-record.ts";
import type { Tasks } from "../tasks.ts";
import type { ServiceLevels, Views } from "../views.ts";
import { AdmissionShares } from "./admission-shares.ts";
import { Attainment } from "./attainment.ts";
import type { MetricRegistry } from "./registry.ts";
import { Window } from "./window.ts";

export interface TaskMetricsOptions {
  readonly config: OrchestratordConfig;
  readonly registry: MetricRegistry;
  readonly tasks: Tasks;
  readonly core: Orchestrator;
  readonly clock: Clock;
}

/** First tokens of a replica set that its service level is judged by. */
const levelWindowMs = 300_000;

export class TaskMetrics implements ServiceLevels {
  readonly #options: TaskMetricsOptions;
  readonly #deadlines: Record<Priority, Window>;
  readonly #attainment: Attainment;
  /** First-token times by replica set. */
  readonly #levels = new Map<string, Window>();
  readonly #shares: AdmissionShares;
  /** Jobs whose current attempt goes on after a loss and has delivered nothing yet, with what was lost. */
  readonly #resuming = new Map<string, "failover" | "restart">();

  constructor(options: TaskMetricsOptions) {
    this.#options = options;
    const { slo, telemetry } = options.config;
    const nowMs = () => options.clock.nowMs();
    this.#shares = new AdmissionShares(telemetry.share_window_ms, nowMs);
    const windowMs = telemetry.deadlines_window_ms;
    this.#deadlines = { interactive: new Window(windowMs, nowMs), batch: new Window(windowMs, nowMs) };
    this.#attainment = new Attainment({ slo, windowMs, nowMs });
    this.#startAtZero();
  }

  handled(event: Event, effects: readonly Effect[]): void {
    const { registry } = this.#options;
    if (event.type === "FirstToken") this.#firstToken(event);
    else if (event.type === "AttemptEnded") this.#attemptEnded(event);
    for (const effect of effects) {
      switch (effect.type) {
        case "AcceptTask":
          this.#accepted(effect.jobId, effect.poolId);
          break;
        case "RefuseTask":
          if (event.type === "TaskSubmitted") this.#refused(event.task, effect);
          break;
        case "DispatchAttempt":
          this.#dispatched(effect);
          break;
        case "EndTask":
          // A withdrawal is nobody's cancel.
          if (event.type !== "TaskCanceled" || event.withdrawn !== true) this.#ended(effect);
          break;
        case "DrainPool": {
          const reason = event.type === "ReloadRequested" ? "reload" : "request";
          registry.add("drain_events_total", { pool_id: effect.poolId, reason });
          break;
        }
        case "Note":
          this.#noted(effect);
          break;
        default:
      }
    }
  }

  delivered(record: TaskRecord, tokens: number): void {
    const { registry } = this.#options;
    const { jobId, placed, task } = record;
    this.#resumed(jobId);
    this.#attainment.delivered(record, tokens);
    registry.add("tokens_out_total", replicaLabels(task.engine, placed), tokens);
  }

  of(setId: string): { firstTokenP95Ms: number | null; attainment: number | null } {
    const window = this.#levels.get(setId);
    const goalMs = this.#options.config.slo.interactive.first_token_p95_ms;
    if (window === undefined) return { firstTokenP95Ms: null, attainment: null };
    const p95 = window.percentile(0.95);
    return { firstTokenP95Ms: p95, attainment: window.shareUpTo(goalMs) };
  }

  /** Sets the gauges that show a present state. */
  fill(views: Views): void {
    const { registry, core } = this.#options;
    for (const pool of core.state.pools.values()) {
      const { ready, metrics } = views.poolHealth(pool.id);
      const engine = pool.settings.engine;
      const [replica] = pool.replicas.values();
      const engine_version = replica?.facts.engineVersion ?? null;
      for (const priority of Priority.enum) {
        const depth = pool.waiting[priority].size;
        registry.set("queue_depth", { engine, engine_version, pool_id: pool.id, priority }, depth);
      }
      registry.set("active_leases", { pool_id: pool.id }, metrics.active_leases ?? 0);
      registry.set("pool_ready", { pool_id: pool.id }, ready ? 1 : 0);
    }
    for (const priority of Priority.enum) {
      registry.set("deadlines_met_ratio", { priority }, this.#deadlines[priority].mean ?? 1);
    }
    this.#attainment.fill(registry);
    this.#fillModels();
    for (const { tenant, priority, share } of this.#shares.now()) {
      registry.set("admission_share", { tenant, priority }, share);
    }
  }

  /** A model that nobody has said anything about is active, since its pool serves it. */
  #fillModels(): void {
    const { registry, core } = this.#options;
    const { models, pools } = core.state;
    const known = new Set([...models.keys(), ...[...pools.values()].map(({ modelRef }) => modelRef)]);
    for (const model_id of known) {
      const current = models.get(model_id)?.state ?? "Active";
      for (const state of ModelState.enum) {
        registry.set("model_state", { model_id, state }, state === current ? 1 : 0);
      }
    }
  }

  /** Counters of configured pools are there from the first scrape on, so that a rate can be formed. */
  #startAtZero(): void {
    const { config, registry } = this.#options;
    for (const { id: pool_id, engine } of config.pools) {
      const none = { engine, engine_version: null, pool_id, replica_id: null };
      for (const priority of Priority.enum) {
        registry.add("tasks_enqueued_total", { ...none, priority }, 0);
        registry.add("tasks_started_total", { ...none, priority }, 0);
      }
      for (const reason of ["client", "disconnect"]) {
        registry.add("tasks_canceled_total", { ...none, reason }, 0);
      }
      for (const reason of ["ADMISSION_REJECT", "QUEUE_FULL_DROP_LRU"]) {
        registry.add("tasks_rejected_total", { engine, reason }, 0);
      }
    }
  }

  /** A newcomer that a full queue turned away met its policy as much as one that it gave up. */
  #refused({ engine, placement }: Task, { code, details, noPlace }: RefuseTask): void {
    const { registry } = this.#options;
    if (noPlace !== undefined) {
      const pinned = String(placement.mode === "pin");
      registry.add("placement_decisions_total", { outcome: "no_capacity", pinned, fallback: "false" });
    }
    registry.add("tasks_rejected_total", { engine, reason: code });
    const policy = FullPolicy.enum.find((each) => each === details.policy_label);
    if (policy !== undefined) registry.add("admission_backpressure_events_total", { engine, policy });
  }

  #accepted(jobId: string, pool_id: string): void {
    const { tasks, registry } = this.#options;
    const record = tasks.job(jobId);
    if (record === undefined) return;
    const { engine, priority } = record.task;
    const nowhere = { engine, engine_version: null, pool_id, replica_id: null };
    // One that the disk refuses was never taken in.
    void record.admitted.then((refused) => {
      if (refused === undefined) registry.add("tasks_enqueued_total", { ...nowhere, priority });
      else registry.add("tasks_rejected_total", { engine, reason: refused.code });
    });
  }

  #dispatched({ jobId, poolId, replicaId, decision, waited, resume, preempted }: DispatchAttempt): void {
    const { tasks, registry, core } = this.#options;
    const record = tasks.job(jobId);
    if (record === undefined) return;
    // What an earlier process ran is lost once, before this one has run anything of it.
    const lost = record.isRecovered && record.placed === undefined ? "restart" : "failover";
    if (resume !== null && !preempted) this.#resuming.set(jobId, lost);
    const { engine, priority, tenantId } = record.task;
    const labels = {
      outcome: "assigned",
      pinned: String(decision.pinned),
      fallback: String(decision.fallback),
    };
    registry.add("placement_decisions_total", labels);
    registry.set("placement_candidates_considered", {}, decision.candidatesTotal);
    if (waited === null) return;
    // A task is charged to its flow once, with the cost that the queue orders it by.
    const cost = core.state.jobs.get(jobId)?.cost;
    if (cost !== undefined) this.#shares.dispatched(tenantId, priority, cost);
    const engine_version = core.state.pools.get(poolId)?.replicas.get(replicaId)?.facts.engineVersion ?? null;
    const there = { engine, engine_version, pool_id: poolId, replica_id: replicaId };
    registry.add("tasks_started_total", { ...there, priority });
    registry.observe(
      "predicted_start_error_ms",
      { engine, pool_id: poolId, priority },
      waited.predictionErrorMs,
    );
  }

  #resumed(jobId: string): void {
    const kind = this.#resuming.get(jobId);
    if (kind === undefined) return;
    this.#resuming.delete(jobId);
    this.#options.registry.add("streams_resumed_total", { kind });
  }

  /** Once per stream: later attempts of the same task are not first tokens to anybody. */
  #firstToken({ jobId, nowMs }: FirstToken): void {
    const { tasks, registry } = this.#options;
    const record = tasks.job(jobId);
    if (record === undefined || record.firstTokenAtMs !== undefined) return;
    const { task } = record;
    const ms = nowMs - (record.startedAtMs ?? nowMs);
    this.#attainment.firstToken(task.priority, ms);
    registry.observe("latency_first_token_ms", poolLabels(record), ms);
    const setId = this.#setOf(record);
    if (setId !== undefined) this.#levelOf(setId).add(ms);
  }

  /** The replica set of the last attempt; undefined once its replica is gone. */
  #setOf({ placed }: TaskRecord): string | undefined {
    if (placed === undefined) return undefined;
    const { pools } = this.#options.core.state;
    return pools.get(placed.poolId)?.replicas.get(placed.replicaId)?.setId;
  }

  #levelOf(setId: string): Window {
    let window = this.#levels.get(setId);
    if (window === undefined) {
      window = new Window(levelWindowMs, () => this.#options.clock.nowMs());
      this.#levels.set(setId, window);
    }
    return window;
  }

  #attemptEnded(event: AttemptEnded): void {
    const { tasks, registry } = this.#options;
    const { jobId, promptTokens } = event;
    const record = tasks.job(jobId);
    if (record === undefined) return;
    const setId = this.#setOf(record);
    if (setId !== undefined) this.#attainment.attemptEnded(record.task.priority, setId, event);
    if (promptTokens <= 0) return;
    registry.add("tokens_in_total", replicaLabels(record.task.engine, record.placed), promptTokens);
  }

  #ended({ jobId, outcome, onTime }: EndTask): void {
    const { tasks, registry } = this.#options;
    const record = tasks.job(jobId);
    if (record === undefined) return;
    const { engine, priority } = record.task;
    const where = replicaLabels(engine, record.placed);
    if (outcome.kind === "done") this.#resumed(jobId);
    this.#resuming.delete(jobId);
    if (outcome.kind === "canceled") {
      registry.add("tasks_canceled_total", { ...where, reason: outcome.reason });
    } else {
      this.#deadlines[priority].add(onTime ? 1 : 0);
    }
    this.#attainment.ended(record, outcome.kind);
    if (outcome.kind === "failed") {
      const { code } = outcome;
      if (code === "DECODE_TIMEOUT") registry.add("tasks_canceled_total", { ...where, reason: "watchdog" });
      if (evictions.has(code)) registry.add("tasks_rejected_total", { engine, reason: code });
    }
    if (record.firstTokenAtMs === undefined) return;
    const decodeMs = (record.endedAtMs ?? record.firstTokenAtMs) - record.firstTokenAtMs;
    registry.observe("latency_decode_ms", poolLabels(record), decodeMs);
  }

  #noted({ about, poolId, jobId, label }: Note): void {
    const { tasks, registry, core } = this.#options;
    const record = jobId === undefined ? undefined : tasks.job(jobId);
    const pool = poolId === undefined ? undefined : core.state.pools.get(poolId);
    const engine = record?.task.engine ?? pool?.settings.engine ?? null;
    switch (about) {
      case "backpressure":
        return registry.add("admission_backpressure_events_total", { engine, policy: label });
      case "attempt-lost":
        return registry.add("attempts_lost_total", { engine, reason: label });
      case "preempted-soft":
        return registry.add("preemptions_total", { mode: "soft", engine });
      case "preempted-hard":
        return registry.add("preemptions_total", { mode: "hard", engine });
      case "resumed":
        return registry.add("resumptions_total", { engine });
      case "replay-mismatch":
        return registry.add("replay_mismatch_total", { engine });
      default:
    }
  }
}

/** Endings of tasks that were given up for others: they count as refused. */
const evictions = new Set<string>(["ADMISSION_REJECT", "QUEUE_FULL_DROP_LRU"]);

function replicaLabels(engine: string, placed: TaskRecord["placed"]) {
  return {
    engine,
    engine_version: placed?.engineVersion,
    pool_id: placed?.poolId,
    replica_id: placed?.replicaId,
  };
}

function poolLabels({ task, placed }: TaskRecord) {
  return {
    engine: task.engine,
    engine_version: placed?.engineVersion,
    pool_id: placed?.poolId,
    priority: task.priority,
  };
}
