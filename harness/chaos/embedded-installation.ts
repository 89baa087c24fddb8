// What a person gets from `llorch up`: both daemons in one process, and the demo model in two supervised
// engine processes of one strict set.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { common, type EngineUnderTest, hardened, type Installation } from "./installation.ts";
import { embeddedReplicas } from "./plan.ts";
import { parentOf } from "./processes.ts";
import { startLogged } from "./program.ts";

const program = join(import.meta.dirname, "../../cli/llorch.ts");
const poolId = "demo";
const slots = 2;

/** @param folder ours; whoever made it removes it */
export async function startEmbeddedInstallation(folder: string): Promise<Installation> {
  const file = join(folder, "config.json");
  const dataDir = join(folder, "data");
  const pools = [{ ...hardened, id: poolId, model: "haiku", replicas: embeddedReplicas, slots }];
  writeFileSync(file, JSON.stringify({ ...common, pools }));
  const args = [program, "up", "--config", file, "--port", "0", "--data-dir", dataDir, "--json"];
  const { pid, said, stop } = await startLogged(args, join(folder, "up.out"), /^(\{.*"pids".*\})$/m);
  const started = JSON.parse(said) as Started;
  const { llorch: _itself, ...first } = started.pids;
  const pids = new Set(Object.values(first));
  const engines = Array.from({ length: embeddedReplicas }, (_, replica) =>
    supervised(join(dataDir, "runtime"), replica, pid, pids),
  );
  return {
    url: started.urls.orchestrator,
    pid,
    model: "haiku",
    logFile: join(dataDir, "up.log"),
    engines,
    pids() {
      for (const engine of engines) engine.look();
      return [...pids];
    },
    stop,
  };
}

interface Started {
  readonly urls: { readonly orchestrator: string };
  readonly pids: Readonly<Record<string, number>>;
}

/** Its supervisor writes down which process it is now; a number that is not a child of it is out of date. */
function supervised(folder: string, replica: number, supervisor: number, seen: Set<number>) {
  const pidFile = join(folder, replica === 0 ? `${poolId}.pid` : `${poolId}@r${replica}.pid`);
  const look = (): number | undefined => {
    const pid = numberIn(pidFile);
    if (pid === undefined || parentOf(pid) !== supervisor) return undefined;
    seen.add(pid);
    return pid;
  };
  const signal = (name: "SIGSTOP" | "SIGCONT" | "SIGKILL"): boolean => {
    const pid = look();
    return pid !== undefined && process.kill(pid, name);
  };
  return { poolId, look, signal, kill: async () => signal("SIGKILL") } satisfies EngineUnderTest & {
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
