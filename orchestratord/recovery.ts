// Takes up what an earlier process left. Nothing is decided here: the core stands again with the same tasks
// in the same order, each gets its record and its stream back, and what ran is reported lost, so that it goes
// on as after any other loss. Pools that the configuration no longer has stay until their tasks have another
// home to go to.

import type { Orchestrator, PoolSettings, Settings } from "@llama-orch/core";
import type { Clock, Timer } from "./clock.ts";
import type { Happening } from "./loop.ts";
import type { Recorder } from "./recorder.ts";
import type { Recovered, RecoveredTask } from "./store/store.ts";
import { continuable } from "./streaming/relay.ts";
import type { TaskStream } from "./streaming/task-stream.ts";
import { newRecord, type TaskRecord } from "./task-record.ts";
import type { Tasks } from "./tasks.ts";
import type { Timers } from "./timers.ts";

export interface RecoveryOptions {
  readonly core: Orchestrator;
  readonly clock: Clock;
  readonly tasks: Tasks;
  readonly timers: Timers;
  readonly recorder: Recorder;
  readonly post: (happening: Happening) => void;
  /** With all that an earlier process has delivered of it. */
  readonly streamOf: (task: RecoveredTask) => TaskStream;
  /** What is configured now. */
  readonly settings: Settings;
  /** How many replicas the configuration gives a pool. */
  readonly replicasOf: (poolId: string) => number;
}

export class Recovery {
  readonly #options: RecoveryOptions;
  /** Pools that are not configured any more and have tasks. */
  #gone: readonly PoolSettings[] = [];
  #isSettled = false;
  #giveUp: Timer | undefined;

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /** Before anybody can ask for anything. */
  begin({ settings: before, tasks: left }: Recovered): void {
    const { core, clock, timers, post, settings } = this.#options;
    const records = left.map((task) => this.#takeUp(task));
    for (const [timer, atMs] of core.state.timers) timers.set(timer, atMs);
    const homes = new Set(left.flatMap(({ poolId, sentTo }) => [poolId, sentTo?.poolId]));
    const configured = new Set(settings.pools.map(({ id }) => id));
    this.#gone = (before?.pools ?? []).filter(({ id }) => homes.has(id) && !configured.has(id));
    this.#configure({ ...settings, pools: [...settings.pools, ...this.#gone] });
    for (const [n, task] of left.entries()) this.#reportLost(task, records[n] as TaskRecord);
    if (before !== null) post({ type: "Restarted" });
    this.settle();
    if (!this.#isSettled) this.#giveUp = clock.after(settleMaxMs, () => this.#settleNow());
  }

  close(): void {
    this.#giveUp?.cancel();
  }

  #takeUp(task: RecoveredTask): TaskRecord {
    const { tasks, streamOf } = this.#options;
    const stream = streamOf(task);
    const admitted = Promise.resolve(undefined);
    const record = newRecord(task, task, { stream, admitted, isRecovered: true });
    record.wasRead = task.wasRead;
    record.attempt = task.sentTo?.attempt ?? 0;
    record.tokensOut = Math.max(task.tokensOut, stream.tokensOut);
    tasks.add(record);
    return record;
  }

  #reportLost({ jobId, sentTo }: RecoveredTask, { stream, sampling, tokensOut }: TaskRecord): void {
    if (sentTo === undefined) return;
    this.#options.post({
      type: "AttemptEnded",
      jobId,
      attempt: sentTo.attempt,
      ending: { kind: "lost", reason: "restart", message: "The orchestrator was started again." },
      frames: stream.promisedFrames,
      continuable: continuable(stream, sampling),
      tokensOut,
      attemptTokens: 0,
      promptTokens: 0,
      prefillMs: 0,
      decodeMs: 0,
    });
  }

  /**
   * To be called when a replica has reported. Once every configured engine has said what it serves, what is
   * not configured any more is given up; until then its tasks would find no home. An engine that never says
   * so is waited for only so long.
   */
  settle(): void {
    const { settings, replicasOf } = this.#options;
    if (this.#isSettled || !settings.pools.every(({ id }) => this.#isKnown(id, replicasOf(id)))) return;
    this.#settleNow();
  }

  #settleNow(): void {
    const { core, post, recorder, settings } = this.#options;
    this.#isSettled = true;
    this.#giveUp?.cancel();
    for (const { id: poolId } of settings.pools) {
      for (const { replicaId, epoch } of core.state.pools.get(poolId)?.replicas.values() ?? []) {
        if (epoch >= 0) continue;
        recorder.replicaGone(poolId, replicaId);
        post({ type: "ReplicaRemoved", poolId, replicaId, reason: "restart" });
      }
    }
    if (this.#gone.length > 0) this.#configure(settings);
  }

  #configure(settings: Settings): void {
    const { recorder, clock, post } = this.#options;
    recorder.configured(settings, clock.nowMs());
    post({ type: "Configured", settings });
  }

  #isKnown(poolId: string, wanted: number): boolean {
    const replicas = [...(this.#options.core.state.pools.get(poolId)?.replicas.values() ?? [])];
    return replicas.filter(({ epoch, status }) => epoch >= 0 && !coming.has(status)).length >= wanted;
  }
}

/** Longer than any engine may take until it serves or is given up. */
const settleMaxMs = 300_000;

/** One of these has not said what it serves; it may only be away for a moment. */
const coming: ReadonlySet<string> = new Set(["starting", "loading", "backing_off"]);
