// What a person gets from `llorch up`: both daemons in one process, and the demo model in two supervised
// engine processes of one strict set.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PoolList } from "@llama-orch/contract";
import { DaemonProcess } from "./daemon-process.ts";
import { common, type EngineUnderTest, hardened, type Installation } from "./installation.ts";
import { embeddedReplicas } from "./plan-faults.ts";
import { lastingPort } from "./ports.ts";
import { parentOf } from "./processes.ts";
import { until } from "./stillness.ts";
import { askJson } from "./wire.ts";

const program = join(import.meta.dirname, "../../cli/llorch.js");
const poolId = "demo";
const slots = 2;

const readyWithinMs = 30_000;
/** As `llorch` says that it was interrupted. */
const interruptedCode = 130;

/** @param folder ours; whoever made it removes it */
export async function startEmbeddedInstallation(folder: string): Promise<Installation> {
  const file = join(folder, "config.json");
  const dataDir = join(folder, "data");
  const pools = [{ ...hardened, id: poolId, model: "haiku", replicas: embeddedReplicas, slots }];
  writeFileSync(file, JSON.stringify({ ...common, pools }));
  const port = await lastingPort();
  const url = `http://127.0.0.1:${port}`;
  const args = [program, "up", "--config", file, "--port", String(port), "--data-dir", dataDir, "--json"];
  const pids = new Set<number>();
  const look = () => {
    for (const engine of engines) engine.look();
  };
  // Its engines go with it, so they are noted before nobody can find them any more.
  const logFile = join(dataDir, "up.log");
  const outFile = join(folder, "up.out");
  const daemon = new DaemonProcess({ url, args, outFile, logFile, interruptedCode, beforeEnd: look });
  const engines = Array.from({ length: embeddedReplicas }, (_, replica) =>
    supervised(join(dataDir, "runtime"), replica, () => daemon.life.pid, pids),
  );
  await daemon.start();
  const isReady = async () => {
    const { pools } = await askJson<PoolList>("GET", `${url}/v2/pools`);
    return pools.every(({ replicas }) => replicas.filter(({ ready }) => ready).length === embeddedReplicas);
  };
  if (!(await until(isReady, readyWithinMs))) {
    await daemon.kill();
    throw new Error(`Not all engines of ${url} became ready within ${readyWithinMs} ms.`);
  }
  return {
    url,
    daemon,
    model: "haiku",
    logFile,
    dataDir,
    engines,
    pids() {
      look();
      return [...pids];
    },
    stop: async () => void (await daemon.leave()),
  };
}

/** Its supervisor writes down which process it is now; a number that is not a child of it is out of date. */
function supervised(folder: string, replica: number, supervisor: () => number, seen: Set<number>) {
  const pidFile = join(folder, replica === 0 ? `${poolId}.pid` : `${poolId}@r${replica}.pid`);
  const look = (): number | undefined => {
    const pid = numberIn(pidFile);
    if (pid === undefined || parentOf(pid) !== supervisor()) return undefined;
    seen.add(pid);
    return pid;
  };
  const signal = (name: "SIGSTOP" | "SIGCONT" | "SIGKILL"): boolean => {
    const pid = look();
    return pid !== undefined && process.kill(pid, name);
  };
  return {
    poolId,
    isStrict: true,
    look,
    signal,
    kill: async () => signal("SIGKILL"),
  } satisfies EngineUnderTest & {
    look: unknown;
  };
}

function numberIn(path: string): number | undefined {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    // The process is gone, and so is its file.
    return undefined;
  }
}
