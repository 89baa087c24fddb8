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
import { guarded } from "./artifacts/guarded.ts";
import { Attempts } from "./attempts.ts";
import type { Clock } from "./clock.ts";
import { Drains } from "./drains.ts";
import { Endings } from "./endings.ts";
import { Followings } from "./followings.ts";
import type { Journal } from "./journal/journal.ts";
import { Loop } from "./loop.ts";
import { performer } from "./perform.ts";
import { performersOf } from "./performers.ts";
import { Recorder } from "./recorder.ts";
import { Recovery } from "./recovery.ts";
import { type ModelSwapper, Reloads } from "./reloads.ts";
import { Directory, type Expected } from "./replicas/directory.ts";
import { type ExternalWatch, externalReplicas, watchExternal } from "./replicas/external.ts";
import { promptCounter } from "./replicas/prompt-counter.ts";
import { hiderOf, secretsOf } from "./secrets.ts";
import { settingsOf } from "./settings.ts";
import type { Recovered, RecoveredTask, Store } from "./store/store.ts";
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
import { retryTeller } from "./telemetry/engine-log.ts";
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
  /** What the store had when it was opened. */
  readonly recovered: Recovered;
  readonly artifacts: Artifacts;
  /** @param makeRoom gives back room that is held on the disk; false where there was none */
  readonly segments: (makeRoom: () => boolean) => Segments;
  /** Begins with the state as it is now. */
  readonly journal: (core: Orchestrator) => Journal;
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
  /** On the way down after a bug: what led to it is on the disk when this returns. */
  lastWords(): void;
  /** What runs is let go without a terminal frame: to its readers this is a lost connection. */
  close(): Promise<void>;
}

export function createApp(options: AppOptions): App {
  const { config, clock, artifacts } = options;
  const parts = assemble(options, () => external);
  const { store, segments } = parts;
  const { loop, directory, attempts, endings } = parts;
  parts.recovery.begin(options.recovered);
  if (options.recovered.tasks.length > 0) parts.waitingPulse.start();
  segments.forgetUnclaimed();
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
    Promise.all([artifacts, store].map((each) => each.sweep(clock.nowMs()))).catch((error) =>
      parts.telemetry.trouble("What is old could not be removed.", error),
    );
  const sweeper = setInterval(() => void sweep(), sweepEveryMs).unref();
  return {
    application: applicationOf(options, parts),
    announce,
    async quiesce() {
      loop.post({ type: "ShutdownBegan" });
      await attempts.idle();
      await endings.idle();
    },
    lastWords: () => parts.journal.flushSync(),
    async close() {
      clearInterval(sweeper);
      loop.close();
      parts.timers.close();
      parts.recovery.close();
      parts.waitingPulse.close();
      await attempts.close();
      await endings.idle();
      await store.giveUp();
      await Promise.all([external.close(), directory.close()]);
      parts.replays.close();
      parts.pulse.close();
      await artifacts.close();
      segments.close();
      await store.close();
      await parts.journal.close();
      await parts.telemetry.close();
    },
  };
}

type Parts = ReturnType<typeof assemble>;

/** Every part, each handed what it needs, around the loop that they all report into. */
function assemble(options: AppOptions, external: () => ExternalWatch) {
  const { config, clock } = options;
  const base = foundation(options, () => loop);
  const { core, tasks, telemetry, store, recorder, post, replays, streams, journal } = base;
  const performing = performingParts(options, base, { loop: () => loop, external });
  const recovery = new Recovery({
    core,
    clock,
    tasks,
    timers: performing.timers,
    recorder,
    post,
    streamOf: streams.recoveredStream,
    settings: settingsOf(config),
    replicasOf: replicasOf(config),
  });
  const performed = performer(performersOf(performing), telemetry);
  const perform: typeof performed = (effects, event) => {
    performed(effects, event);
    if (event.type !== "ReplicaReported") return;
    recorder.replica(event.poolId, event.replicaId);
    recovery.settle();
  };
  const loop: Loop = new Loop({ core, clock, perform, record: journal.record });
  const onReconnect = () => telemetry.reconnected();
  const followings = new Followings({ core, clock, tasks, store, recorder, replays, config, onReconnect });
  return { ...base, ...performing, recovery, loop, followings };
}

/** What everything else stands on. */
function foundation(options: AppOptions, loop: () => Loop) {
  const { config, clock, artifacts, seed, recovered } = options;
  const core = Orchestrator.recover(recovered, seed);
  const segments = options.segments(() => store.makeRoom());
  const journal = options.journal(core);
  const tasks = new Tasks(config.retention.idempotency_ms, options.store.past(pastMax));
  const telemetry = new Telemetry({ ...options, core, tasks });
  const onRetry = (address: EngineAddress) => retryTeller(options.log, address, () => clock.nowMs());
  const { proxy_url: proxyUrl } = config.network;
  const bind = (address: EngineAddress) =>
    bindAdapter(address, { seed, proxyUrl, onRetry: onRetry(address) });
  const post: Loop["post"] = (happening) => loop().post(happening);
  const onFull = (full: boolean, reason: string) => {
    telemetry.storage(full, reason);
    post({ type: "StorageChanged", full });
  };
  const store: WatchedStore = new WatchedStore({ store: options.store, clock, onFull });
  const recorder = new Recorder({ core, store });
  const pollMs = config.nodes.poll_interval_ms;
  const directory = new Directory({ bind, post, clock, pollMs, expected: expectedOf(config) });
  const pulse = new Pulse({ clock });
  const streams = streamMaker({ config, clock, segments, pulse, telemetry, post });
  const load = async (tenantId: string, transcriptId: string) =>
    (await artifacts.get(tenantId, transcriptId)) as unknown as Transcript | undefined;
  const replays = new Replays({ clock, load, ...streams });
  const shown = views({ config, core, directory, levels: telemetry.levels, nowMs: () => clock.nowMs() });
  telemetry.show(shown);
  return {
    core,
    journal,
    tasks,
    telemetry,
    bind,
    post,
    store,
    recorder,
    segments,
    directory,
    pulse,
    streams,
    replays,
    shown,
  };
}

interface Later {
  readonly loop: () => Loop;
  readonly external: () => ExternalWatch;
}

/** Whoever does what the core wants. */
function performingParts(
  { config, clock, artifacts, swapper, log }: AppOptions,
  { core, journal, tasks, telemetry, post, store, recorder, directory, streams }: Foundation,
  { loop, external }: Later,
) {
  const counter = promptCounter(core, directory);
  const attempts = new Attempts({
    core,
    clock,
    tasks,
    store,
    directory,
    recorder,
    post,
    hide: hiderOf(secretsOf(config)) ?? ((text: string) => text),
    onBroken: (poolId, replicaId) => external().doubt(poolId, replicaId),
    onBug: bugEnder(log, journal, telemetry),
    observer: telemetry,
  });
  return {
    core,
    tasks,
    store,
    recorder,
    observer: telemetry,
    submissions: new Submissions({ core, loop, clock, tasks, store, counter, ...streams }),
    attempts,
    drains: new Drains({ core, store }),
    endings: new Endings({ core, clock, tasks, store, artifacts, observer: telemetry }),
    reloads: new Reloads(swapper, post),
    timers: new Timers(clock, (timer) => post({ type: "TimerFired", timer })),
    waitingPulse: new WaitingPulse(core, tasks, clock),
  };
}

type Foundation = ReturnType<typeof foundation>;

/** What must never happen is said, and then ends the process: going on could break what was promised. */
function bugEnder(log: Log, journal: Journal, telemetry: Telemetry) {
  return (error: unknown, record: TaskRecord): void => {
    telemetry.trouble("A bug ends the daemon.", error, record);
    journal.flushSync();
    const leave = () =>
      queueMicrotask(() => {
        throw error;
      });
    log.end().then(leave, leave);
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
    artifacts: guarded(artifacts, () => store.isFull),
    submit: (request, bodyBytes, caller) => submissions.submit(request, bodyBytes, caller),
    follow: (taskId, caller) => followings.follow(taskId, caller),
    async cancel(taskId, { tenantId }) {
      const record = tenantId === undefined ? tasks.findAny(taskId) : tasks.find(tenantId, taskId);
      if (record === undefined) return;
      loop.handle({ type: "TaskCanceled", tenantId: record.task.tenantId, taskId });
      const refused = await record.ended;
      if (refused !== undefined) throw refused;
    },
    session: (sessionId, { tenantId = "default" }) => core.session(tenantId, sessionId, clock.nowMs()),
    async deleteSession(sessionId, { tenantId = "default" }) {
      loop.handle({ type: "SessionDeleted", tenantId, sessionId });
      const fact = { fact: "session-deleted", tenantId, sessionId, atMs: clock.nowMs() } as const;
      await store.insist(`end of session ${tenantId} ${sessionId}`, async () => {
        // One that has begun since stands in place of the one that was deleted.
        if (core.sessionFacts(tenantId, sessionId) === undefined) await store.commit([fact]);
      });
    },
    async drain(poolId, deadlineMs) {
      requirePool(poolId);
      loop.handle({ type: "DrainRequested", poolId, deadlineMs });
      await drains.recorded(poolId);
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

/** Tasks of earlier runs that lists show. */
const pastMax = 1000;

/** How long a reload waits for running tasks when nobody says. */
const reloadDrainMs = 30_000;
const sweepEveryMs = 60_000;

/** What a pool's replicas are taken for until they have said what they are. */
function expectedOf({ pools }: OrchestratordConfig) {
  const byId = new Map(
    pools.map(({ id, ctx, slots, provisioning, require_same_engine_version: isOne }): [string, Expected] => {
      const pinned = provisioning.engine?.version;
      const versions = { isOne, ...(pinned !== undefined && { pinned }) };
      return [id, { ctxMax: ctx ?? ctxMaxDefault, slotsTotal: slots, versions }];
    }),
  );
  return (poolId: string): Expected => byId.get(poolId) ?? { ctxMax: ctxMaxDefault, slotsTotal: 1 };
}

function replicasOf({ pools }: OrchestratordConfig) {
  const byId = new Map(pools.map(({ id, replicas }) => [id, replicas]));
  return (poolId: string) => byId.get(poolId) ?? 1;
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
  const live = (jobId: string) => ({
    jobId,
    ...shared,
    onReaders: (readers: number) => post({ type: "ReadersChanged", jobId, readers }),
    onMetricsDropped: (count: number) => telemetry.dropped(jobId, count),
  });
  return {
    openStream: (jobId: string) => new TaskStream(live(jobId)),
    /** A best-effort one as it was; a strict one is made again from its start, and has to come out equal. */
    recoveredStream(task: RecoveredTask): TaskStream {
      const { jobId, frames, tokensOut, streamDigest: digest } = task;
      // Nothing was delivered before it was written down where the task was sent.
      if (task.sentTo?.determinism === "best_effort") return TaskStream.recovered(live(jobId));
      const stream = new TaskStream(live(jobId));
      if (digest !== undefined) stream.promise({ frames, digest, tokensOut });
      return stream;
    },
    make: (transcript: Transcript, transcriptId: string, onReaders: (count: number) => void) =>
      streamAgain({ transcript, transcriptId, onReaders, ...shared }),
  };
}
