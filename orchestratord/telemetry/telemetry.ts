// All that watches, in one place: log, narration, metrics and traces of one daemon. Their owners write; this
// only hands round what happened.

import type { OrchestratordConfig } from "@llama-orch/contract";
import type { Effect, Event, Orchestrator } from "@llama-orch/core";
import type { Clock } from "../clock.ts";
import type { Observer } from "../observer.ts";
import type { TaskRecord } from "../task-record.ts";
import type { Tasks } from "../tasks.ts";
import type { ServiceLevels, Views } from "../views.ts";
import type { Log } from "./log.ts";
import type { Narrator } from "./narration.ts";
import { MetricRegistry } from "./registry.ts";
import { ReplicaLog } from "./replica-log.ts";
import { StorageLog } from "./storage-log.ts";
import { TaskLog } from "./task-log.ts";
import { TaskMetrics } from "./task-metrics.ts";
import type { TaskTrace, Tracing } from "./trace.ts";

export interface TelemetryOptions {
  readonly config: OrchestratordConfig;
  readonly tasks: Tasks;
  readonly core: Orchestrator;
  readonly clock: Clock;
  readonly log: Log;
  readonly narrator: Narrator;
  /** Absent: nobody wants traces. */
  readonly tracing?: Tracing;
}

const gauges = [
  "queue_depth",
  "active_leases",
  "pool_ready",
  "admission_share",
  "deadlines_met_ratio",
  "slo_attainment_ratio",
  "model_state",
] as const;

export class Telemetry implements Observer {
  readonly registry = new MetricRegistry("orchestratord");
  readonly #tasks: Tasks;
  readonly #taskLog: TaskLog;
  readonly #metrics: TaskMetrics;
  readonly #replicaLog: ReplicaLog;
  readonly #storageLog: StorageLog;
  readonly #trace: TaskTrace | undefined;

  constructor(options: TelemetryOptions) {
    const { tasks, tracing, config, narrator } = options;
    this.#tasks = tasks;
    this.#replicaLog = new ReplicaLog(options);
    this.#storageLog = new StorageLog(options);
    this.#taskLog = new TaskLog(options);
    this.#metrics = new TaskMetrics({ ...options, registry: this.registry });
    this.#trace = tracing?.(tasks, config.telemetry.otlp_narration ? narrator : undefined);
  }

  get levels(): ServiceLevels {
    return this.#metrics;
  }

  /** From now on a scrape shows the present state of these views. */
  show(views: Views): void {
    this.registry.onScrape(gauges, () => this.#metrics.fill(views));
  }

  handled(event: Event, effects: readonly Effect[]): void {
    this.#metrics.handled(event, effects);
    this.#taskLog.handled(event, effects);
    if (event.type === "ReplicaReported") this.#replicaLog.reported(event);
    this.#trace?.handled(event, effects);
  }

  delivered(record: TaskRecord, tokens: number): void {
    this.#metrics.delivered(record, tokens);
  }

  /** Metrics frames that a slow reader of the task did not get. */
  dropped(jobId: string, count: number): void {
    const engine = this.#tasks.job(jobId)?.task.engine;
    this.registry.add("sse_backpressure_drops_total", { engine }, count);
  }

  /** A reader came back for the rest of a stream. */
  reconnected(): void {
    this.registry.add("streams_resumed_total", { kind: "reconnect" });
  }

  /** @param reason what is wrong and what helps, in the words that clients are refused with */
  storage(isFull: boolean, reason: string): void {
    this.#storageLog.changed(isFull, reason);
  }

  trouble(what: string, cause: unknown, record?: TaskRecord): void {
    this.#taskLog.trouble(what, cause, record);
  }

  async close(): Promise<void> {
    await this.#trace?.close().catch((error) => this.trouble("The last traces could not be sent.", error));
    this.registry.close();
  }
}
