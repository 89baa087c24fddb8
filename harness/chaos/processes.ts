// What the kernel says of a process: whether it is there, what it holds open, and what it keeps in memory.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export function isRunning(pid: number): boolean {
  const stat = statOf(pid);
  return stat !== undefined && stat[0] !== "Z";
}

export function parentOf(pid: number): number | undefined {
  const stat = statOf(pid);
  return stat === undefined ? undefined : Number(stat[1]);
}

/** Open handles by what they are: files by their path, sockets by their ends. */
export function handlesOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  const ends = socketEnds(pid);
  return readdirSync(folder).flatMap((fd) => {
    try {
      const name = readlinkSync(`${folder}/${fd}`);
      const inode = /^socket:\[(\d+)\]$/.exec(name)?.[1];
      return [inode === undefined ? name : `socket: ${ends.get(inode) ?? "unix"}`];
    } catch {
      // It was closed between the two looks.
      return [];
    }
  });
}

/** By inode: the ports here and there, and the state. */
function socketEnds(pid: number): Map<string, string> {
  const rows = ["tcp", "tcp6"].flatMap((kind) =>
    readFileSync(`/proc/${pid}/net/${kind}`, "utf8").split("\n"),
  );
  return new Map(
    rows.map((row): [string, string] => {
      const [, here = "", there = "", state = "", , , , , , inode = ""] = row.trim().split(/\s+/);
      return [inode, `${portOf(here)} to ${portOf(there)}, state ${state}`];
    }),
  );
}

const portOf = (address: string): number => Number.parseInt(address.split(":")[1] ?? "0", 16);

export function residentBytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return 1024 * Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1]);
}

export function threadsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).length;
}

/** Of a second of processor time the kernel makes so many ticks. */
const ticksPerSecond = 100;

/** What it has used of all processors, however many others wanted them. */
export function processorMsOf(pid: number): number {
  const [userTicks, systemTicks] = (statOf(pid) ?? []).slice(11, 13).map(Number);
  return (((userTicks ?? 0) + (systemTicks ?? 0)) * 1000) / ticksPerSecond;
}

/** The fields after the name of the program: state, parent and so on. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    // There is no such process.
    return undefined;
  }
}
