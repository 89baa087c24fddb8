// The one place where both daemons are started in one process: the orchestrator, then the engines, which it
// is told of; and both down again in that order. It decides nothing and prints nothing.

import { createWriteStream, existsSync, mkdirSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  apiKeyEntry,
  type Config,
  environment,
  OrchError,
  orchestratordConfig,
  problemText,
  resolveConfig,
} from "@llama-orch/contract";
import type { ModelSwapper } from "@llama-orch/orchestratord";
import type { Replicas } from "@llama-orch/pool-managerd";
import { createClient } from "@llama-orch/sdk";
import { exitCodes, Refusal } from "./failure.ts";
import { StartBoard } from "./start-board.ts";
import type { Installation, StartInstallation, UpWish } from "./up-command.ts";

type Variables = Readonly<Record<string, string | undefined>>;

const driverFile = "/proc/driver/nvidia/version";

export function installationStarter(variables: Variables): StartInstallation {
  return async (wish, signal) => {
    const hasNvidiaDriver = existsSync(driverFile);
    // Loaded here, since the other commands need neither daemon.
    const [{ DirectoryTaken, readConfigFile, startOrchestratord }, { provisionLlamacpp, startReplicas }] =
      await Promise.all([import("@llama-orch/orchestratord"), import("@llama-orch/pool-managerd")]);
    const path = wish.configFile ?? (variables.ORCHD_POOLS_CONFIG?.trim() || undefined);
    const file = path === undefined ? demo(hasNvidiaDriver) : readFile(path, readConfigFile);
    const config = configOf(wish, variables, file);
    const log = openLog(config.data_dir, wish);
    let replicas: Replicas | undefined;
    const swapper: ModelSwapper = {
      runs: (poolId) => config.pools.find(({ id }) => id === poolId)?.provisioning.mode !== "external",
      async swap(poolId, _from, toModelRef) {
        if (replicas !== undefined) return replicas.reload(poolId, toModelRef);
        return { ok: false, engineVersion: null, error: "The engines have not been started yet." };
      },
    };
    const orchestratord = await startOrchestratord({
      config: orchestratordConfig(config),
      writeLog: log.write,
      swapper,
    }).catch((error: unknown) => {
      log.close();
      throw error instanceof DirectoryTaken ? new Refusal(error.message, exitCodes.usage) : error;
    });
    const stop = async (atOnce: AbortSignal) => {
      await orchestratord.stop(atOnce);
      await replicas?.stop();
      log.close();
    };
    try {
      const board = new StartBoard(config);
      replicas = await startReplicas({
        pools: config.pools,
        folder: join(config.data_dir, "runtime"),
        provisioner: provisionLlamacpp,
        machine: { hasNvidiaDriver },
        env: engineVariables(variables),
        seed: Math.floor(Math.random() * 2 ** 32),
        log: (line) => log.write(JSON.stringify({ service: "pool-managerd", ...line })),
        announce(announcement) {
          board.take(announcement, wish);
          orchestratord.announce(announcement);
        },
      });
      await board.serving(signal);
      await takenIn(orchestratord.url, config, board, signal);
      return installationOf(orchestratord.url, config, board, stop);
    } catch (error) {
      await stop(AbortSignal.abort());
      throw error;
    }
  };
}

/**
 * What engines inherit: nothing that opens a door of this installation, and nothing that llama.cpp would take
 * for a flag.
 */
function engineVariables(variables: Variables): Variables {
  const ours = new Set(Object.entries(environment).flatMap(([name, { aliases }]) => [name, ...aliases]));
  const theirs = Object.entries(variables).filter(
    ([name]) => !ours.has(name) && !name.startsWith("LLAMA_ARG_"),
  );
  return Object.fromEntries(theirs);
}

/** Log lines go to a file: the terminal is for the person who typed `up`. */
function openLog(dataDir: string, { onWarning }: UpWish) {
  try {
    mkdirSync(join(dataDir, "runtime"), { recursive: true, mode: 0o700 });
  } catch (error) {
    const reason = (error as Error).message;
    const todo = "Choose another with --data-dir or LLORCH_DATA_DIR.";
    throw new Refusal(`The data directory ${dataDir} cannot be used: ${reason}. ${todo}`, exitCodes.usage);
  }
  const file = createWriteStream(join(dataDir, "up.log"), { flags: "a", mode: 0o600 });
  file.once("error", ({ message }) => onWarning(`Log lines cannot be written: ${message}.`));
  return {
    write(line: string) {
      if (file.writable) file.write(line.endsWith("\n") ? line : `${line}\n`);
    },
    close: () => void file.end(),
  };
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

const lookAgainMs = 20;

/** The orchestrator asks an engine what it serves before it gives it work, so it has the last word. */
async function takenIn(url: string, { auth }: Config, board: StartBoard, signal: AbortSignal): Promise<void> {
  const [apiKey] = (auth.api_keys ?? []).map((entry) => apiKeyEntry(entry).key);
  const client = createClient({
    baseUrl: url,
    ...(auth.token !== undefined && { token: auth.token }),
    ...(apiKey !== undefined && { apiKey }),
  });
  for (;;) {
    const { pools } = await client.listPools({ signal });
    const lacks = pools.some(
      ({ pool_id, replicas }) => replicas.filter(({ ready }) => ready).length < board.readyOf(pool_id),
    );
    if (!lacks) return;
    await delay(lookAgainMs, undefined, { signal });
  }
}

function installationOf(
  url: string,
  { pools, auth }: Config,
  board: StartBoard,
  stop: Installation["stop"],
): Installation {
  const [pool] = pools;
  const token = auth.token === undefined ? undefined : "Authorization: Bearer $LLORCH_API_TOKEN";
  const credential = auth.api_keys === undefined ? token : "X-API-Key: $LLORCH_API_KEY";
  return {
    urls: { orchestrator: url },
    pids: { llorch: process.pid, ...board.pids() },
    model: pool?.model ?? "haiku",
    compute: pool === undefined || pool.devices.length === 0 ? "cpu" : "cuda",
    ...(credential !== undefined && { credential }),
    stop,
  };
}
