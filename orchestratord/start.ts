// Starts the daemon in this process and stops it again: the data directory first, then what lies in it, then
// the parts, the listener last; down in the other direction. `main.ts` and `llorch up` both come in here.

import { join } from "node:path";
import type { OrchestratordConfig, PoolList, ReplicaAnnouncement } from "@llama-orch/contract";
import { type App, createApp } from "./app.ts";
import { FileArtifacts } from "./artifacts/files.ts";
import { keepingOf } from "./artifacts/inventory.ts";
import { MemoryArtifacts } from "./artifacts/memory.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type DataDirectory, takeDataDirectory } from "./data-directory.ts";
import type { HttpLog } from "./http/dispatch.ts";
import { createServer, type Server } from "./http/server.ts";
import { Journal } from "./journal/journal.ts";
import manifest from "./package.json" with { type: "json" };
import type { ModelSwapper } from "./reloads.ts";
import { secretsOf } from "./secrets.ts";
import { SqliteStore } from "./store/sqlite/sqlite-store.ts";
import type { Recovered, Store } from "./store/store.ts";
import { Segments } from "./streaming/segments.ts";
import { createLog, type Log } from "./telemetry/log.ts";
import { Narrator } from "./telemetry/narration.ts";
import { loadTracing } from "./telemetry/trace.ts";

export interface StartOptions {
  readonly config: OrchestratordConfig;
  /** Whoever runs the engines of this installation; without one no pool can change its model. */
  readonly swapper?: ModelSwapper;
  /** Where lies what must survive; when absent in a database of the data directory, which `open` opens. */
  readonly store?: (open: () => Store) => Store;
  /** Where log lines go; standard output when absent. */
  readonly writeLog?: (line: string) => void;
  /** Of every choice by chance; drawn when absent. */
  readonly seed?: number;
}

export interface RunningOrchestratord {
  readonly url: string;
  /** How every pool is now, for whoever carries the daemon and needs no HTTP to ask. */
  pools(): PoolList;
  /** An engine process started, became ready, failed or went away. */
  announce(announcement: ReplicaAnnouncement): void;
  /**
   * Takes no more tasks and lets running ones finish for as long as the configuration says, or until `atOnce`
   * is aborted. What is not finished gets no terminal frame: to its readers this is a lost connection.
   */
  stop(atOnce?: AbortSignal): Promise<void>;
}

const service = "orchestratord";

/** Documents that memory holds besides the disk. */
const mirroredMax = 64;

/** @throws DirectoryTaken, and what Node says when the address cannot be had; then nothing is left behind */
export async function startOrchestratord(options: StartOptions): Promise<RunningOrchestratord> {
  const directory = takeDataDirectory(options.config.data_dir);
  try {
    return await startIn(directory, options);
  } catch (error) {
    directory.release();
    throw error;
  }
}

async function startIn(directory: DataDirectory, options: StartOptions): Promise<RunningOrchestratord> {
  const { config } = options;
  const log = createLog({
    service,
    version: manifest.version,
    level: config.telemetry.log_level,
    format: config.telemetry.log_format,
    secrets: secretsOf(config),
    ...(options.writeLog !== undefined && { write: options.writeLog }),
  });
  const open = () => openStore(directory, config, log, () => clock.nowMs());
  const store = options.store === undefined ? open() : options.store(open);
  const recovered = await recoveredFrom(store);
  // Time goes on from what was recorded last, wherever the wall clock has been set meanwhile.
  const clock: Clock = systemClock(recovered.nowMs);
  // Before all that the recovery itself has to say.
  tellOfEarlierRun(log, recovered, config);
  const app = await createDaemon(directory, options, { clock, log, store, recovered }).catch(
    async (error) => {
      await store.close();
      throw error;
    },
  );
  const server = await listen(app, config, clock, log);
  const lastWords = () => app.lastWords();
  process.on("uncaughtExceptionMonitor", lastWords);
  log.write("info", "listening", { human: `Listens on ${server.url}.` });
  return {
    url: server.url,
    pools: () => app.application.pools(),
    announce: (announcement) => app.announce(announcement),
    async stop(atOnce = new AbortController().signal) {
      log.write("info", "stopping", { human: "Takes no more tasks and lets running ones finish." });
      await withinPatience(app.quiesce(), clock, config.shutdown_ms, atOnce);
      await server.close();
      await app.close();
      process.off("uncaughtExceptionMonitor", lastWords);
      await log.end();
      directory.release();
    },
  };
}

async function recoveredFrom(store: Store): Promise<Recovered> {
  try {
    return store.recover();
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** A wall clock that is merely adjusted goes back by less. */
const wallBehindMs = 60_000;

function tellOfEarlierRun(log: Log, recovered: Recovered, { pools }: OrchestratordConfig): void {
  const { nowMs, tasks, drains } = recovered;
  const behindMs = nowMs - Date.now();
  if (behindMs > wallBehindMs) {
    const human =
      `The wall clock is ${Math.round(behindMs / 1000)} s behind the time recorded last, from which time goes ` +
      "on: all times shown are ahead by that. Set the clock, and restart once it has passed that time.";
    log.write("warn", "clock_behind", { human });
  }
  if (tasks.length > 0) {
    const ran = tasks.filter(({ sentTo }) => sentTo !== undefined).length;
    const what = tasks.length === 1 ? "1 task" : `${tasks.length} tasks`;
    const human = `Goes on with ${what} of an earlier run: ${ran} ran, ${tasks.length - ran} waited.`;
    log.write("info", "recovered", { human });
  }
  const drained = drains.map(({ poolId }) => poolId).filter((id) => pools.some((pool) => pool.id === id));
  for (const pool_id of drained) {
    const human = `Pool ${pool_id} stays drained, as it was in an earlier run; a reload brings it back.`;
    log.write("info", "still_drained", { human, pool_id });
  }
}

function openStore(
  { path }: DataDirectory,
  { retention, store }: OrchestratordConfig,
  log: Log,
  nowMs: () => number,
): Store {
  return SqliteStore.open({
    folder: join(path, "store"),
    nowMs,
    keepEndedMs: retention.streams_ms,
    rememberMs: retention.idempotency_ms,
    endedMax: retention.ended_tasks,
    reserveBytes: store.reserve_bytes,
    onTrouble: troubleTeller(log, "store_trouble"),
  });
}

const troubleTeller =
  (log: Log, event: string) =>
  ({ message }: Error): void =>
    log.write("error", event, { human: message.slice(0, 200) });

interface Ground {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: Store;
  readonly recovered: Recovered;
}

/** What works behind the listener, with all that it keeps on the disk. */
async function createDaemon(
  { path }: DataDirectory,
  { config, swapper, seed = Math.floor(Math.random() * 2 ** 32) }: StartOptions,
  ground: Ground,
): Promise<App> {
  const { artifacts, telemetry } = config;
  const { clock, log } = ground;
  const { version } = manifest;
  const nowMs = () => clock.nowMs();
  const { otlp_endpoint: endpoint } = telemetry;
  const tracing = endpoint === undefined ? undefined : await loadTracing({ endpoint, service, version });
  return createApp({
    ...ground,
    config,
    artifacts: await FileArtifacts.open({
      root: artifacts.root,
      keeping: keepingOf(config),
      mirror: new MemoryArtifacts({ keeping: keepingOf(config), documentsMax: mirroredMax }),
    }),
    segments: (makeRoom) =>
      Segments.open({
        folder: join(path, "segments"),
        makeRoom,
        onFailure: ({ message }) =>
          log.write("error", "disk_refused", { human: `The disk refuses: ${message}.` }),
      }),
    journal: (core) =>
      Journal.open({
        folder: join(path, "journal"),
        core,
        clock,
        seed,
        version,
        maxBytes: config.journal.max_bytes,
        onTrouble: troubleTeller(log, "journal_trouble"),
      }),
    narrator: new Narrator({ emittedBy: `${service}@${version}`, nowMs, maskUuids: telemetry.mask_uuids }),
    ...(tracing !== undefined && { tracing }),
    ...(swapper !== undefined && { swapper }),
    seed,
  });
}

/** The listener of an app that is taken down with it where the listener cannot be made. */
async function listen(app: App, config: OrchestratordConfig, clock: Clock, log: Log): Promise<Server> {
  try {
    const server = createServer({ application: app.application, config, log: httpLog(log), clock });
    await server.listen();
    return server;
  } catch (error) {
    await app.close();
    throw error;
  }
}

/**
 * Resolves with what is waited for, or when that has taken too long for the configuration or for its caller.
 */
async function withinPatience(done: Promise<void>, clock: Clock, ms: number, atOnce: AbortSignal) {
  let giveUp = () => {};
  const over = new Promise<void>((resolve) => {
    giveUp = resolve;
  });
  const timer = clock.after(ms, giveUp);
  atOnce.addEventListener("abort", giveUp, { once: true });
  if (atOnce.aborted) giveUp();
  await Promise.race([done, over]);
  timer.cancel();
  atOnce.removeEventListener("abort", giveUp);
}

function httpLog(log: Log): HttpLog {
  return {
    auth: ({ event, correlationId, identity, code }) =>
      log.write(event === "auth_failed" ? "warn" : "debug", event, {
        correlation_id: correlationId,
        ...(identity !== undefined && { identity }),
        ...(code !== undefined && { error_kind: code }),
      }),
    fault: ({ correlationId, error }) => {
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
      log.write("error", "http_fault", {
        correlation_id: correlationId,
        human: "A request hit a bug.",
        details: { reason },
      });
    },
  };
}
