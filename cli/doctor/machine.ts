// The rest of the machine: Node, programs, ports, disk and memory.

import { bytesText } from "../print/quantity.ts";
import type { Finding } from "./finding.ts";
import type { Inspector } from "./inspector.ts";
import { holderText, portHolder } from "./port-holder.ts";

const nodeMajorMin = 24;

export function checkNode(version: string): Finding {
  const says = `Node ${version.replace(/^v/, "")}`;
  if (Number.parseInt(version.replace(/^v/, ""), 10) >= nodeMajorMin)
    return { check: "node", level: "ok", says };
  const todo = `Start through npm (npm run llorch), which brings Node ${nodeMajorMin} along, or install it.`;
  return { check: "node", level: "bad", says: `${says} is too old`, todo };
}

interface Tool {
  readonly check: string;
  /** Any of them will do. */
  readonly programs: readonly string[];
  readonly todo: string;
}

const forSources = "Only engines that are built from source need it; to have them:";
const tools: readonly Tool[] = [
  { check: "git", programs: ["git"], todo: `${forSources} apt install git.` },
  { check: "cmake", programs: ["cmake"], todo: `${forSources} apt install cmake.` },
  {
    check: "compiler",
    programs: ["c++", "g++", "clang++"],
    todo: `${forSources} apt install build-essential.`,
  },
  {
    check: "setpriv",
    programs: ["setpriv"],
    todo: "Without it an engine may outlive a crashed daemon until the next start. Install util-linux.",
  },
];

export function checkTools(inspector: Inspector, programFolders: readonly string[]): Finding[] {
  return tools.map(({ check, programs, todo }) => {
    const paths = programs.flatMap((program) =>
      programFolders
        .filter((folder) => inspector.names(folder).includes(program))
        .map((folder) => `${folder}/${program}`),
    );
    const [path] = paths;
    if (path !== undefined) return { check, level: "ok", says: path };
    return { check, level: "warn", says: `There is no ${programs.join(" or ")} in PATH.`, todo };
  });
}

/** Where `up` listens unless --port or the configuration says otherwise. */
export function checkPort(inspector: Inspector, port: number): Finding {
  const check = `port ${port}`;
  const holder = portHolder(inspector, port);
  if (holder === undefined) return { check, level: "ok", says: "free for the orchestrator" };
  const says = `${holderText(holder)} listens where the orchestrator would.`;
  return { check, level: "warn", says, todo: "Start with --port and another number, or stop it." };
}

interface Room {
  readonly warnBelow: number;
  readonly badBelow: number;
}

const disk: Room = { warnBelow: 2 * 1024 ** 3, badBelow: 256 * 1024 ** 2 };
const memory: Room = { warnBelow: 2 * 1024 ** 3, badBelow: 512 * 1024 ** 2 };

export function checkDisk(inspector: Inspector, dataDir: string): Finding {
  const free = inspector.freeBytes(dataDir);
  if (free === undefined) {
    const todo = "Set LLORCH_DATA_DIR to a folder on a disk of this machine.";
    return { check: "disk", level: "bad", says: `The disk of ${dataDir} cannot be looked at.`, todo };
  }
  const todo = `Free some space, or set LLORCH_DATA_DIR to another disk. A full disk refuses new tasks.`;
  return judged("disk", disk, free, `${bytesText(free)} free for ${dataDir}`, todo);
}

export function checkMemory(inspector: Inspector): Finding {
  const available = availableBytes(inspector);
  if (available === undefined) {
    const todo = "Look at it yourself: free -h.";
    return { check: "memory", level: "warn", says: "The system does not say how much is available.", todo };
  }
  const todo = "Stop something, or choose smaller models: each replica holds its model in memory or VRAM.";
  return judged("memory", memory, available, `${bytesText(available)} available`, todo);
}

function judged(
  check: string,
  { badBelow, warnBelow }: Room,
  bytes: number,
  says: string,
  todo: string,
): Finding {
  if (bytes >= warnBelow) return { check, level: "ok", says };
  return { check, level: bytes < badBelow ? "bad" : "warn", says: `only ${says}`, todo };
}

/** What the kernel could give, and no more than the container may take. */
function availableBytes(inspector: Inspector): number | undefined {
  const line = /^MemAvailable:\s+(\d+) kB/m.exec(inspector.read("/proc/meminfo") ?? "");
  const max = Number(inspector.read("/sys/fs/cgroup/memory.max") ?? Number.NaN);
  const used = Number(inspector.read("/sys/fs/cgroup/memory.current") ?? Number.NaN);
  const limits = [line === null ? Number.NaN : Number(line[1]) * 1024, max - used].filter(Number.isFinite);
  return limits.length === 0 ? undefined : Math.max(0, Math.min(...limits));
}
