// The one place where both daemons are started in one process: the orchestrator, then the engines, which it
// is told of; and both down again in that order. It decides nothing and prints nothing.

import { existsSync, mkdirSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import {
  type Config,
  OrchError,
  orchestratordConfig,
  type PoolConfig,
  problemText,
  resolveConfig,
} from "@llama-orch/contract";
import type { ModelSwapper, RunningOrchestratord } from "@llama-orch/orchestratord";
import type { LogLine, Replicas } from "@llama-orch/pool-managerd";
import { engineEnvironment } from "./engine-environment.ts";
import { exitCodes, Refusal } from "./failure.ts";
import manifest from "./package.json" with { type: "json" };
import { StartBoard } from "./start-board.ts";
import {
  type Installation,
  isTakenPort,
  type StartInstallation,
  TakenFolder,
  type UpWish,
} from "./up-command.ts";

type Variables = Readonly<Record<string, string | undefined>>;

const driverFile = "/proc/driver/nvidia/version";

export function installationStarter(variables: Variables): StartInstallation {
  return async (wish, signal) => {
    const hasNvidiaDriver = existsSync(driverFile);
    // Loaded here, since the other commands need neither daemon.
    const [
      { DirectoryTaken, readConfigFile, startOrchestratord, startFailure },
      { LogFile, provisionLlamacpp, startReplicas },
    ] = await Promise.all([import("@llama-orch/orchestratord"), import("@llama-orch/pool-managerd")]);
    const path = wish.configFile ?? (variables.ORCHD_POOLS_CONFIG?.trim() || undefined);
    const file = path === undefined ? demo(hasNvidiaDriver) : readFile(path, readConfigFile);
    const config = configOf(wish, variables, file);
    const folder = prepareFolder(config.data_dir);
    const log = new LogFile(join(config.data_dir, "up.log"), (error) =>
      wish.onWarning(`Log lines cannot be written: ${(error as Error).message}.`),
    );
    const isOurs = ({ provisioning }: PoolConfig) => provisioning.mode !== "external";
    let replicas: Replicas | undefined;
    const swapper: ModelSwapper = {
      runs: (poolId) => config.pools.some((pool) => pool.id === poolId && isOurs(pool)),
      async swap(poolId, _from, toModelRef) {
        if (replicas !== undefined) return replicas.reload(poolId, toModelRef);
        return { ok: false, engineVersion: null, error: "The engines have not been started yet." };
      },
    };
    const orchestratord = await startOrchestratord({
      config: orchestratordConfig(config),
      writeLog: (line) => log.write(line.trimEnd()),
      swapper,
    }).catch(async (error: unknown) => {
      await log.close();
      const says = startFailure(error);
      // Who asked for a start can name who holds the port.
      if (says === undefined || isTakenPort(error)) throw error;
      if (error instanceof DirectoryTaken) throw new TakenFolder(error, portOf(config));
      throw new Refusal(says, exitCodes.usage);
    });
    const stop = async (atOnce: AbortSignal) => {
      await orchestratord.stop(atOnce);
      await replicas?.stop();
      await log.close();
    };
    try {
      const board = new StartBoard(config.pools);
      replicas = await startReplicas({
        pools: config.pools.filter(isOurs),
        folder,
        provisioner: provisionLlamacpp,
        machine: { hasNvidiaDriver },
        env: engineEnvironment(variables),
        seed: Math.floor(Math.random() * 2 ** 32),
        log: (line) => log.write(lineOf(line)),
        activeLeases: (poolId) => leasesOf(orchestratord, poolId),
        announce(announcement) {
          board.take(announcement, wish);
          orchestratord.announce(announcement);
        },
      });
      await board.serving(() => orchestratord.pools(), signal);
      return installationOf(orchestratord, config, { isDemo: path === undefined }, board, stop);
    } catch (error) {
      await stop(AbortSignal.abort());
      throw error;
    }
  };
}

function portOf({ auth }: Config): number {
  return Number(auth.bind_addr.slice(auth.bind_addr.lastIndexOf(":") + 1));
}

/** As the orchestrator's own lines begin, which go to the same file. */
function lineOf({ level, ...fields }: LogLine): string {
  const timestamp = new Date().toISOString();
  return JSON.stringify({ level, timestamp, service: "pool-managerd", version: manifest.version, ...fields });
}

function leasesOf(orchestratord: RunningOrchestratord, poolId: string): number {
  const pool = orchestratord.pools().pools.find(({ pool_id }) => pool_id === poolId);
  return pool?.health.metrics.active_leases ?? 0;
}

/** Where engines and log lines go: the terminal is for the person who typed `up`. */
function prepareFolder(dataDir: string): string {
  const folder = join(dataDir, "runtime");
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    const reason = (error as Error).message;
    const todo = "Choose another with --data-dir or LLORCH_DATA_DIR.";
    throw new Refusal(`The data directory ${dataDir} cannot be used: ${reason}. ${todo}`, exitCodes.usage);
  }
  return folder;
}

function configOf(wish: UpWish, variables: Variables, file: unknown): Config {
  const machine = { home: homedir(), hostname: hostname() };
  const resolve = (bindAddr?: string): Config => {
    const flags = {
      ...flag("up", "shutdown_ms", wish.shutdownMs),
      ...flag("--data-dir", "data_dir", wish.dataDir),
      ...flag("--port", "auth.bind_addr", bindAddr),
    };
    const result = resolveConfig({ file, environment: variables, flags, machine });
    if (!result.ok) throw new Refusal(result.problems.map(problemText).join("\n"), exitCodes.usage);
    if (bindAddr === undefined) for (const warning of result.warnings) wish.onWarning(warning);
    return result.config;
  };
  const config = resolve();
  if (wish.port === undefined) return config;
  // The port alone changes: who may reach us stays what the configuration says.
  return resolve(`${config.auth.bind_addr.replace(/:\d+$/, "")}:${wish.port}`);
}

function flag(name: string, sets: string, value: unknown): Record<string, { sets: string; value: unknown }> {
  return value === undefined ? {} : { [name]: { sets, value } };
}

/** Two replicas in one strict set, so that failover has somewhere to go. */
function demo(hasNvidiaDriver: boolean): object {
  const place = hasNvidiaDriver ? { devices: [0] } : { devices: [], allow_cpu: true };
  return { pools: [{ id: "demo", engine: "llamacpp", model: "haiku", replicas: 2, slots: 2, ...place }] };
}

function readFile(path: string, read: (path: string) => unknown): unknown {
  try {
    return read(path);
  } catch (error) {
    if (error instanceof OrchError) throw new Refusal(error.message, exitCodes.usage);
    throw error;
  }
}

function installationOf(
  orchestratord: RunningOrchestratord,
  { pools, auth, tls }: Config,
  { isDemo }: { readonly isDemo: boolean },
  board: StartBoard,
  stop: Installation["stop"],
): Installation {
  const token = auth.token === undefined ? undefined : "Authorization: Bearer $LLORCH_API_TOKEN";
  const credential = auth.api_keys === undefined ? token : "X-API-Key: $LLORCH_API_KEY";
  const serving = new Set(
    orchestratord
      .pools()
      .pools.filter(({ replicas }) => replicas.some(({ ready }) => ready))
      .map(({ pool_id }) => pool_id),
  );
  return {
    urls: { orchestrator: orchestratord.url },
    pids: { llorch: process.pid, ...board.pids() },
    pools: pools.map((pool) => ({
      id: pool.id,
      model: pool.model,
      engine: pool.engine,
      where: whereOf(pool, isDemo),
      serves: serving.has(pool.id),
    })),
    ...(credential !== undefined && { credential }),
    ...(tls !== undefined && { certificate: tls.cert_file }),
    stop,
  };
}

function whereOf({ provisioning, devices }: PoolConfig, isDemo: boolean): string {
  if (provisioning.mode === "external") return "on an engine that runs elsewhere";
  if (devices.length > 0) return devices.length === 1 ? "on the GPU" : `on ${devices.length} GPUs`;
  if (!isDemo) return "on the CPU, as configured";
  return "on the CPU: there is no usable NVIDIA GPU, so this shows the way and not the speed";
}
