// Which process a number means. Numbers are used again, so a process is known by its number, the boot it
// belongs to and the tick it was started at; where /proc does not exist nobody can be sure, and says so.

import { readFileSync } from "node:fs";

/** The boot and the tick at which the process with that number started; undefined when there is none. */
export function startOf(pid: number): string | undefined {
  const fields = statFields(pid);
  const boot = readText("/proc/sys/kernel/random/boot_id")?.trim();
  if (fields === undefined || boot === undefined) return undefined;
  // A zombie holds a number and nothing else.
  const [state] = fields;
  if (state === "Z" || state === "X") return undefined;
  return `${boot}:${fields[19]}`;
}

/** PF_EXITING of the kernel: set before anything of the process is closed, and never taken back. */
const exitingFlag = 0x4;

/** Whether the process has begun to exit: its sockets close a while before anybody hears that it is gone. */
export function isLeaving(pid: number): boolean {
  const fields = statFields(pid);
  return fields !== undefined && (fields[0] === "Z" || (Number(fields[6]) & exitingFlag) !== 0);
}

/** The kernel's count of processes it killed for want of memory, or undefined where it does not tell. */
export function memoryKills(): number | undefined {
  const count = /^oom_kill (\d+)$/m.exec(readText("/proc/vmstat") ?? "")?.[1];
  return count === undefined ? undefined : Number(count);
}

/** Fields of /proc/pid/stat from the third on; the second is a name that may hold spaces and brackets. */
function statFields(pid: number): string[] | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // No such process, or no /proc at all: both mean that nothing is known.
    return undefined;
  }
}
