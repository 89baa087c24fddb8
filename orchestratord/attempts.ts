// The attempts that run: each is started on the replica the core chose, relayed into its task's stream, and
// reported until it has ended. Nothing here decides whether there will be another.

import assert from "node:assert/strict";
import type { Determinism, MetricsFrame, StartedFrame, TaskBody } from "@llama-orch/contract";
import type { AbortAttempt, AttemptEnded, DispatchAttempt, Ending, Orchestrator } from "@llama-orch/core";
import type { Clock } from "./clock.ts";
import type { Happening } from "./loop.ts";
import type { Observer } from "./observer.ts";
import type { Recorder } from "./recorder.ts";
import type { Directory } from "./replicas/directory.ts";
import type { Hide } from "./secrets.ts";
import type { Store } from "./store/store.ts";
import { type AttemptReport, continuable, relay } from "./streaming/relay.ts";
import type { Placed, TaskRecord } from "./task-record.ts";
import type { Tasks } from "./tasks.ts";

export interface AttemptsOptions {
  readonly core: Orchestrator;
  readonly clock: Clock;
  readonly tasks: Tasks;
  readonly store: Store;
  readonly directory: Directory;
  readonly recorder: Recorder;
  readonly post: (happening: Happening) => void;
  readonly observer: Observer;
  /** The connection to the engine of a replica broke, or could not be made. */
  readonly onBroken: (poolId: string, replicaId: string) => void;
  /** An attempt did what it never may; the daemon cannot go on. */
  readonly onBug: (error: unknown, record: TaskRecord) => void;
  /** Takes secrets out of what engines say, which readers and logs get to see. */
  readonly hide: Hide;
}

/** Silence is judged by the watchdog of the attempt, so the connection gives up only after it. */
const behindWatchdogMs = 2000;

interface Running {
  readonly attempt: number;
  readonly controller: AbortController;
  readonly ended: Promise<void>;
}

/** What an attempt waits for, and what ends it. */
interface Course {
  /** Whether its place is written down. */
  readonly sent: Promise<boolean>;
  /** The attempt before it is over. */
  readonly before: Promise<void> | undefined;
  readonly signal: AbortSignal;
}

export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #running = new Map<string, Running>();
  #closed = false;

  constructor(options: AttemptsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#running.size;
  }

  dispatch(dispatch: DispatchAttempt): void {
    const { tasks, clock, recorder } = this.#options;
    const record = tasks.job(dispatch.jobId) as TaskRecord;
    const sent = recorder.sent(dispatch.jobId);
    record.state = "running";
    record.attempt = dispatch.attempt;
    record.startedAtMs ??= clock.nowMs();
    const controller = new AbortController();
    const before = this.#running.get(dispatch.jobId)?.ended;
    const ended = this.#run(record, dispatch, { sent, before, signal: controller.signal }).finally(() => {
      if (this.#running.get(dispatch.jobId)?.attempt === dispatch.attempt) {
        this.#running.delete(dispatch.jobId);
      }
    });
    this.#running.set(dispatch.jobId, { attempt: dispatch.attempt, controller, ended });
  }

  abort({ jobId, attempt }: AbortAttempt): void {
    const running = this.#running.get(jobId);
    if (running?.attempt === attempt) running.controller.abort();
  }

  /** Resolves once none runs. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  /** Ends all of them without a word to the core: nothing is decided about their tasks any more. */
  async close(): Promise<void> {
    this.#closed = true;
    const running = [...this.#running.values()];
    for (const { controller } of running) controller.abort();
    await Promise.all(running.map(({ ended }) => ended));
  }

  async #run(record: TaskRecord, dispatch: DispatchAttempt, { sent, before, signal }: Course): Promise<void> {
    const { directory, clock, observer, onBug } = this.#options;
    const { poolId, replicaId, epoch, resume, limits } = dispatch;
    const notStarted = (ending: Ending) =>
      this.#report(record, dispatch, endedBeforeStart(record, dispatch, ending));
    try {
      // Two attempts never write into one stream.
      await before;
      const body = await this.#bodyOf(record);
      if (record.outcome !== undefined) return notStarted({ kind: "aborted" });
      if (body === undefined) return notStarted(unreadable);
      const replica = directory.find(poolId, replicaId, epoch);
      if (replica === undefined) return notStarted(gone);
      const { engineVersion, modelDigest } = replica.props;
      record.placed = { poolId, replicaId, engineVersion, modelDigest, dispatch };
      if (this.#determinism(poolId) === "best_effort") record.stream.logFrames();
      const continueFrom = resume === "continued" ? record.stream.idsDelivered() : undefined;
      await relay({
        adapter: replica.adapter,
        request: {
          workload: record.task.workload,
          body,
          sampling: record.sampling,
          seed: record.task.seed,
          maxTokens: limits.maxTokens,
          reuseCache: dispatch.reuseCache,
          ...(continueFrom !== undefined && { continueFrom }),
          firstTokenMs: limits.firstTokenMs + behindWatchdogMs,
          idleMs: limits.idleMs + behindWatchdogMs,
        },
        signal,
        stream: record.stream,
        dispatch,
        written: this.#written(record, sent),
        report: (report) => this.#report(record, dispatch, report),
        onTokens: (count) => observer.delivered(record, count),
        clock,
      });
    } catch (error) {
      // Whoever relays has an ending for everything that engines and disks can do.
      onBug(error, record);
    }
  }

  /** The engine works while the disk does; readers hear nothing of it before. */
  async #written(record: TaskRecord, sent: Promise<boolean>): Promise<boolean> {
    if ((await record.admitted) !== undefined || !(await sent)) return false;
    if (!record.stream.isStarted && !record.stream.isOver) record.stream.started(startedFrame(record));
    return true;
  }

  #determinism(poolId: string): Determinism | undefined {
    return this.#options.core.state.pools.get(poolId)?.settings.determinism;
  }

  /** Undefined where the store cannot be read. */
  async #bodyOf(record: TaskRecord): Promise<TaskBody | undefined> {
    const { store, observer } = this.#options;
    let body: TaskBody | undefined;
    try {
      body = await store.body(record.jobId);
    } catch (error) {
      observer.trouble("The texts of a task could not be read.", error, record);
      return undefined;
    }
    const isRefused = body === undefined && (await record.admitted) !== undefined;
    assert(
      body !== undefined || isRefused || record.outcome !== undefined,
      `Task ${record.jobId} lives without its texts.`,
    );
    return body;
  }

  #report(record: TaskRecord, dispatch: DispatchAttempt, report: AttemptReport): void {
    if (this.#closed) return;
    if (report.type === "AttemptEnded") {
      record.tokensOut = Math.max(record.tokensOut, report.tokensOut);
      if (report.promptTokens > 0) record.tokensIn = report.promptTokens;
    }
    this.#options.post(this.#safe(report));
    if (isBroken(report)) this.#options.onBroken(dispatch.poolId, dispatch.replicaId);
    if (report.type === "FirstToken") record.firstTokenAtMs ??= this.#options.clock.nowMs();
    if (report.type === "AttemptProgressed" && this.#determinism(dispatch.poolId) === "strict") {
      this.#options.recorder.progressed(record);
    }
    if (report.type === "FirstToken" || report.type === "AttemptProgressed")
      this.#sendMetrics(record, dispatch);
  }

  #safe(report: AttemptReport): AttemptReport {
    if (report.type !== "AttemptEnded" || !("message" in report.ending)) return report;
    const { ending } = report;
    return { ...report, ending: { ...ending, message: this.#options.hide(ending.message) } };
  }

  /** The first one after the first token says how an attempt that was resumed goes on. */
  #sendMetrics(record: TaskRecord, dispatch: DispatchAttempt): void {
    const progress = this.#options.core.progress(record.jobId);
    if (progress === undefined || record.stream.isOver) return;
    const resumed = dispatch.resume !== null;
    const frame: MetricsFrame = {
      queue_depth: progress.queueDepth,
      on_time_probability: progress.onTimeProbability,
      kv_warmth: resumed ? false : progress.kvWarm,
      tokens_budget_remaining: progress.budget.tokens,
      time_budget_remaining_ms: progress.budget.timeMs,
      cost_budget_remaining: progress.budget.cost,
      kv_migrated: false,
      ...(resumed && { resumed: dispatch.resume, attempt: dispatch.attempt }),
      ...(dispatch.preempted && { preempted: true, resumable: true }),
    };
    record.stream.metrics(frame, { ...frame, human: humanOf(record, frame) });
  }
}

const broken: ReadonlySet<string> = new Set(["crash", "reset"]);

const isBroken = (report: AttemptReport): boolean =>
  report.type === "AttemptEnded" && report.ending.kind === "lost" && broken.has(report.ending.reason);

function humanOf(record: TaskRecord, { queue_depth, on_time_probability }: MetricsFrame): string {
  const { replicaId, poolId } = record.placed as Placed;
  const chance = `${Math.round(100 * on_time_probability)} % likely to be on time`;
  return `Running on ${poolId}/${replicaId}, ${queue_depth} waiting behind, ${chance}.`;
}

/** With nulls where a task ends before it was ever placed. */
export function startedFrame({ answer, jobId, task, placed, samplerProfile }: TaskRecord): StartedFrame {
  return {
    queue_position: answer.queuePosition,
    predicted_start_ms: answer.predictedStartMs,
    job_id: jobId,
    engine: task.engine,
    engine_version: placed?.engineVersion ?? null,
    pool_id: placed?.poolId ?? null,
    replica_id: placed?.replicaId ?? null,
    sampler_profile_version: samplerProfile,
    ...(placed?.modelDigest !== undefined && { model_digest: placed.modelDigest }),
    seed: task.seed,
  };
}

/** Nobody's fault: whoever watches its process says in a moment what became of it. */
const gone: Ending = { kind: "lost", reason: "restart", message: "The replica is gone." };

const unreadable: Ending = {
  kind: "refused",
  code: "INTERNAL",
  message: "The store cannot read the texts of the task. See the daemon's log, then send the task again.",
};

function endedBeforeStart(
  { jobId, stream, sampling, tokensOut }: TaskRecord,
  { attempt }: DispatchAttempt,
  ending: Ending,
): Omit<AttemptEnded, "seq" | "nowMs"> {
  return {
    type: "AttemptEnded",
    jobId,
    attempt,
    ending,
    frames: stream.promisedFrames,
    continuable: continuable(stream, sampling),
    tokensOut,
    attemptTokens: 0,
    promptTokens: 0,
    prefillMs: 0,
    decodeMs: 0,
  };
}
