// The composition of the daemon: every part is made here, given what it needs, and taken down in the order
// that loses nothing. The result is what HTTP may ask of it, and the door for whoever runs engines.

import {
  ctxMaxDefault,
  OrchError,
  type OrchestratordConfig,
  type ReplicaAnnouncement,
  type Transcript,
} from "@llama-orch/contract";
import { Orchestrator } from "@llama-orch/core";
import { bindAdapter, type EngineAddress } from "@llama-orch/engines/adapter";
import type { Application } from "./application.ts";
import type { Artifacts } from "./artifacts/artifacts.ts";
import { Attempts } from "./attempts.ts";
import type { Clock } from "./clock.ts";
import { Endings } from "./endings.ts";
import { Followings } from "./followings.ts";
import { Loop } from "./loop.ts";
import type { Observer } from "./observer.ts";
import { type Performers, performer } from "./perform.ts";
import { type ModelSwapper, Reloads } from "./reloads.ts";
import { Directory } from "./replicas/directory.ts";
import { type ExternalWatch, externalReplicas, watchExternal } from "./replicas/external.ts";
import { promptCounter } from "./replicas/prompt-counter.ts";
import { hiderOf, secretsOf } from "./secrets.ts";
import { settingsOf } from "./settings.ts";
import type { Store } from "./store/store.ts";
import { WatchedStore } from "./store/watched.ts";
import { Pulse } from "./streaming/pulse.ts";
import { Replays } from "./streaming/replays.ts";
import type { Segments } from "./streaming/segments.ts";
import { type StreamSettings, TaskStream } from "./streaming/task-stream.ts";
import { streamAgain } from "./streaming/transcript.ts";
import { Submissions } from "./submissions.ts";
import type { TaskRecord } from "./task-record.ts";
import { taskViews } from "./task-views.ts";
import { Tasks } from "./tasks.ts";
import type { Log } from "./telemetry/log.ts";
import type { Narrator } from "./telemetry/narration.ts";
import { Telemetry } from "./telemetry/telemetry.ts";
import type { Tracing } from "./telemetry/trace.ts";
import { Timers } from "./timers.ts";
import { views } from "./views.ts";
import { WaitingPulse } from "./waiting-pulse.ts";

export interface AppOptions {
  readonly config: OrchestratordConfig;
  readonly clock: Clock;
  readonly store: Store;
  readonly artifacts: Artifacts;
  readonly segments: Segments;
  readonly log: Log;
  readonly narrator: Narrator;
  /** Absent: nobody wants traces. */
  readonly tracing?: Tracing;
  /** Absent: nobody here can give an engine another model. */
  readonly swapper?: ModelSwapper;
  /** Of every choice by chance. */
  readonly seed: number;
}

export interface App {
  readonly application: Application;
  announce(announcement: ReplicaAnnouncement): void;
  /** Admission ends now. Resolves once nothing runs any more. */
  quiesce(): Promise<void>;
  /** What runs is let go without a terminal frame: to its readers this is a lost connection. */
  close(): Promise<void>;
}

export function createApp(options: AppOptions): App {
  const { config, clock, artifacts, segments } = options;
  const parts = assemble(options, () => external);
  const { store } = parts;
  const { loop, directory, attempts, endings } = parts;
  loop.post({ type: "Configured", settings: settingsOf(config) });
  for (const { model } of config.pools) {
    loop.post({ type: "ModelChanged", modelRef: model, digest: null, state: "Active" });
  }
  const announce = (announcement: ReplicaAnnouncement) => directory.announce(announcement);
  const { bind } = parts;
  const pollMs = config.nodes.poll_interval_ms;
  const external: ExternalWatch = watchExternal({
    replicas: externalReplicas(config),
    bind,
    announce,
    clock,
    pollMs,
  });
  const sweep = () =>
    artifacts
      .sweep(clock.nowMs())
      .catch((error) => parts.telemetry.trouble("Old documents could not be removed.", error));
  const sweeper = setInterval(() => void sweep(), sweepEveryMs).unref();
  return {
    application: applicationOf(options, parts),
    announce,
    async quiesce() {
      loop.post({ type: "ShutdownBegan" });
      await attempts.idle();
      await endings.idle();
    },
    async close() {
      clearInterval(sweeper);
      loop.close();
      parts.timers.close();
      parts.waitingPulse.close();
      await attempts.close();
      await endings.idle();
      await Promise.all([external.close(), directory.close()]);
      parts.replays.close();
      parts.pulse.close();
      await artifacts.close();
      segments.close();
      await store.close();
      await parts.telemetry.close();
    },
  };
}

type Parts = ReturnType<typeof assemble>;

/** Every part, each handed what it needs, around the loop that they all report into. */
function assemble(options: AppOptions, external: () => ExternalWatch) {
  const { config, clock, artifacts, segments, seed } = options;
  const core = new Orchestrator(seed);
  const tasks = new Tasks(config.retention.idempotency_ms);
  const telemetry = new Telemetry({ ...options, core, tasks });
  const bind = (address: EngineAddress) => bindAdapter(address, { seed });
  const post: Loop["post"] = (happening) => loop.post(happening);
  const onFull = (full: boolean) => post({ type: "StorageChanged", full });
  const store = new WatchedStore({ store: options.store, clock, onFull });
  const pollMs = config.nodes.poll_interval_ms;
  const directory = new Directory({ bind, post, clock, pollMs, expected: expectedOf(config) });
  const pulse = new Pulse({ clock });
  const streams = streamMaker({ config, clock, segments, pulse, telemetry, post });
  const load = async (tenantId: string, transcriptId: string) =>
    (await artifacts.get(tenantId, transcriptId)) as unknown as Transcript | undefined;
  const replays = new Replays({ clock, load, ...streams });
  const counter = promptCounter(core, directory);
  const hide = hiderOf(secretsOf(config)) ?? ((text: string) => text);
  const onReconnect = () => telemetry.reconnected();
  const onBroken = (poolId: string, replicaId: string) => external().doubt(poolId, replicaId);
  const shown = views({ config, core, directory, levels: telemetry.levels, nowMs: () => clock.nowMs() });
  telemetry.show(shown);
  const performing = {
    submissions: new Submissions({ core, loop: () => loop, clock, tasks, store, counter, ...streams }),
    attempts: new Attempts({
      core,
      clock,
      tasks,
      store,
      directory,
      post,
      hide,
      onBroken,
      onBug: bugEnder(options.log, telemetry),
      observer: telemetry,
    }),
    endings: new Endings({ clock, tasks, store, artifacts, observer: telemetry }),
    reloads: new Reloads(options.swapper, post),
    timers: new Timers(clock, (timer) => post({ type: "TimerFired", timer })),
    waitingPulse: new WaitingPulse(core, tasks, clock),
    drains: { recorded: Promise.resolve() },
  };
  const perform = performer(performersOf(performing, tasks, store, telemetry), telemetry);
  const loop: Loop = new Loop({ core, clock, perform });
  const followings = new Followings({ core, clock, tasks, store, replays, config, onReconnect });
  return {
    ...performing,
    core,
    tasks,
    store,
    telemetry,
    bind,
    directory,
    pulse,
    replays,
    followings,
    shown,
    loop,
  };
}

interface Performing {
  readonly submissions: Submissions;
  readonly attempts: Attempts;
  readonly endings: Endings;
  readonly reloads: Reloads;
  readonly timers: Timers;
  readonly waitingPulse: WaitingPulse;
  /** Of the last drain that was begun: whoever asked for it waits until it is safe. */
  readonly drains: { recorded: Promise<void> };
}

/** What must never happen is said, and then ends the process: going on could break what was promised. */
function bugEnder(log: Log, telemetry: Telemetry) {
  return (error: unknown, record: TaskRecord): void => {
    telemetry.trouble("A bug ends the daemon.", error, record);
    const leave = () =>
      queueMicrotask(() => {
        throw error;
      });
    log.end().then(leave, leave);
  };
}

function performersOf(parts: Performing, tasks: Tasks, store: Store, observer: Observer): Performers {
  const { submissions, attempts, endings, reloads, timers, waitingPulse, drains } = parts;
  const nothing = () => {};
  return {
    AcceptTask: (effect) => {
      submissions.accept(effect);
      waitingPulse.start();
    },
    RefuseTask: nothing,
    RepeatAnswer: nothing,
    DispatchAttempt: (effect) => attempts.dispatch(effect),
    CloseGate: ({ jobId }) => tasks.job(jobId)?.stream.closeGate(),
    AbortAttempt: (effect) => attempts.abort(effect),
    EndTask: (effect) => endings.end(effect),
    DrainPool: ({ poolId, deadlineAtMs }) => {
      drains.recorded = store.commit([{ fact: "drained", poolId, deadlineAtMs }]);
      // A drain for a reload has nobody who waits for its record.
      drains.recorded.catch((error) => observer.trouble("A drain could not be recorded.", error));
    },
    EndDrain: nothing,
    SwapModel: (effect) => reloads.swap(effect),
    AnswerReload: (effect) => reloads.answer(effect),
    SetTimer: ({ timer, atMs }) => timers.set(timer, atMs),
    ClearTimer: ({ timer }) => timers.clear(timer),
    Note: nothing,
  };
}

/** What HTTP may ask, answered by the parts. */
function applicationOf({ clock, artifacts }: AppOptions, parts: Parts): Application {
  const { store, core, tasks, loop, submissions, followings, reloads, telemetry, shown, drains } = parts;
  const requirePool = (poolId: string): void => {
    if (core.state.pools.has(poolId)) return;
    throw new OrchError("NOT_FOUND", `There is no pool ${poolId}; GET /v2/pools lists them.`);
  };
  return {
    artifacts,
    submit: (request, bodyBytes, caller) => submissions.submit(request, bodyBytes, caller),
    follow: (taskId, caller) => followings.follow(taskId, caller),
    async cancel(taskId, { tenantId }) {
      const record = tenantId === undefined ? tasks.findAny(taskId) : tasks.find(tenantId, taskId);
      if (record === undefined) return;
      loop.handle({ type: "TaskCanceled", tenantId: record.task.tenantId, taskId });
      await record.ended;
    },
    session: (sessionId, { tenantId = "default" }) => core.session(tenantId, sessionId, clock.nowMs()),
    async deleteSession(sessionId, { tenantId = "default" }) {
      loop.handle({ type: "SessionDeleted", tenantId, sessionId });
      await store.commit([{ fact: "session-deleted", tenantId, sessionId, atMs: clock.nowMs() }]);
    },
    async drain(poolId, deadlineMs) {
      requirePool(poolId);
      loop.handle({ type: "DrainRequested", poolId, deadlineMs });
      await drains.recorded;
    },
    async reload(poolId, { new_model_ref: modelRef, drain_deadline_ms: deadlineMs = reloadDrainMs }) {
      requirePool(poolId);
      const isItsOwn = core.state.pools.get(poolId)?.modelRef === modelRef;
      // Nothing is drained for a swap that nobody could carry out; its own model only brings a pool back.
      if (!isItsOwn && !reloads.canSwap(poolId)) throw nobodySwaps(poolId);
      return reloads.request(poolId, modelRef, deadlineMs);
    },
    metrics: () => telemetry.registry.text(),
    ...shown,
    ...taskViews(core, tasks),
  };
}

/** Engines that run elsewhere cannot be given another model from here. */
function nobodySwaps(poolId: string): OrchError {
  const why = `Nobody here runs the engines of pool ${poolId}; load the model where they run.`;
  return new OrchError("RELOAD_CONFLICT", why, { pool_id: poolId, last_error: why });
}

/** How long a reload waits for running tasks when nobody says. */
const reloadDrainMs = 30_000;
const sweepEveryMs = 60_000;

/** What a pool's replicas are taken for until they have said what they are. */
function expectedOf({ pools }: OrchestratordConfig) {
  const byId = new Map(
    pools.map(({ id, ctx, slots }) => [id, { ctxMax: ctx ?? ctxMaxDefault, slotsTotal: slots }]),
  );
  return (poolId: string) => byId.get(poolId) ?? { ctxMax: ctxMaxDefault, slotsTotal: 1 };
}

interface StreamParts {
  readonly config: OrchestratordConfig;
  readonly clock: Clock;
  readonly segments: Segments;
  readonly pulse: Pulse;
  readonly telemetry: Telemetry;
  readonly post: Loop["post"];
}

/** Streams of tasks that begin, and of tasks that have ended. */
function streamMaker({ config, telemetry, post, ...parts }: StreamParts) {
  const { stream } = config;
  const settings: StreamSettings = {
    ringBytes: stream.ring_bytes,
    heartbeatMs: stream.heartbeat_ms === 0 ? Number.POSITIVE_INFINITY : stream.heartbeat_ms,
    readerStallMs: stream.reader_stall_ms,
    microbatch: stream.microbatch,
    microbatchTokens: stream.microbatch_tokens,
  };
  const shared = { settings, ...parts };
  return {
    openStream: (jobId: string) =>
      new TaskStream({
        jobId,
        ...shared,
        onReaders: (readers) => post({ type: "ReadersChanged", jobId, readers }),
        onMetricsDropped: (count) => telemetry.dropped(jobId, count),
      }),
    make: (transcript: Transcript, transcriptId: string, onReaders: (count: number) => void) =>
      streamAgain({ transcript, transcriptId, onReaders, ...shared }),
  };
}
