// Who listens on a TCP port of this machine, as the kernel tells it: the socket by /proc/net, its process by
// the file descriptors we are allowed to see.

import type { Inspector } from "./inspector.ts";

export interface PortHolder {
  /** Absent when the process belongs to somebody else. */
  readonly pid?: number;
  readonly command?: string;
}

/** undefined when the port is free. */
export function portHolder(inspector: Inspector, port: number): PortHolder | undefined {
  const inodes = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((path) =>
    listeningInodes(inspector.read(path) ?? "", port),
  );
  if (inodes.length === 0) return undefined;
  const sockets = new Set(inodes.map((inode) => `socket:[${inode}]`));
  const pids = inspector.names("/proc").filter((name) => /^\d+$/.test(name));
  const pid = pids.find((name) => {
    const folder = `/proc/${name}/fd`;
    return inspector.names(folder).some((fd) => sockets.has(inspector.target(`${folder}/${fd}`) ?? ""));
  });
  if (pid === undefined) return {};
  const words = (inspector.read(`/proc/${pid}/cmdline`) ?? "").split("\0").filter((word) => word !== "");
  return { pid: Number(pid), ...(words.length > 0 && { command: words.join(" ") }) };
}

/** How a sentence names it: `node cli/llorch.js up (pid 4711)`. */
export function holderText({ pid, command }: PortHolder): string {
  if (pid === undefined) return "a process of another user or container";
  const shown = command === undefined ? "a process" : command.slice(0, commandCharsMax);
  return `${shown} (pid ${pid})`;
}

const commandCharsMax = 80;
const listening = "0A";

/** Columns of /proc/net/tcp: 1 is address:port in hex, 3 the state, 9 the inode. */
export function listeningInodes(table: string, port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return table
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => words[1]?.endsWith(`:${hex}`) && words[3] === listening)
    .flatMap((words) => (words[9] === undefined ? [] : [words[9]]));
}
