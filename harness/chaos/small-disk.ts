// A small disk of its own for one daemon: a file system in memory that only a mount namespace sees, which
// lasts as long as the process that keeps it, so that it outlives every life of the daemon. Where namespaces
// may not be made there is none, and whoever asked is told why.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, cpSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";

export interface SmallDisk {
  /** Where it is, for who runs inside. */
  readonly path: string;
  /** The same place, seen from here. */
  readonly outside: string;
  /** What a program is started with to run inside. */
  readonly prefix: readonly string[];
  /** Not one byte more can be written. */
  fill(): void;
  empty(): void;
  end(): Promise<void>;
}

/** A daemon keeps 64 MiB in reserve on it, and its journal leaves as much to others. */
const megabytes = 256;

/** Says that all is ready, and lasts until its input ends, which it does with us. */
const keeper = 'mount -t tmpfs -o "size=$2m" tmpfs "$1" && echo ready && read -r _';

/** @returns a disk, or why there is none */
export async function makeSmallDisk(folder: string): Promise<SmallDisk | string> {
  const path = join(folder, "disk");
  mkdirSync(path, { mode: 0o700 });
  const args = ["-Urm", "sh", "-c", keeper, "sh", path, String(megabytes)];
  const child = spawn("unshare", args, { stdio: ["pipe", "pipe", "pipe"] });
  const complaint = text(child.stderr);
  const first = await Promise.race([
    once(child.stdout, "data").then(String),
    once(child, "close").then(() => ""),
    once(child, "error").then(() => ""),
  ]).catch(String);
  if (!first.startsWith("ready")) return (await complaint).trim() || "unshare cannot be run";
  return diskOf(child, path);
}

function diskOf(child: ChildProcess, path: string): SmallDisk {
  const outside = `/proc/${child.pid}/root${path}`;
  const filler = `${outside}/filler`;
  return {
    path,
    outside,
    prefix: ["nsenter", "-t", String(child.pid), "-U", "-m", "--preserve-credentials", "--wd=/"],
    fill: () => fill(filler),
    empty: () => rmSync(filler, { force: true }),
    async end() {
      const exited = once(child, "exit");
      child.stdin?.end();
      await exited;
    },
  };
}

/** What was on it, for a person to look into. */
export function saveDisk({ outside }: SmallDisk, folder: string): void {
  rmSync(`${outside}/filler`, { force: true });
  cpSync(outside, folder, { recursive: true });
}

function fill(path: string): void {
  const file = openSync(path, "a", 0o600);
  for (const bytes of [Buffer.alloc(1 << 20), Buffer.alloc(1 << 12), Buffer.alloc(1)]) {
    while (took(file, bytes)) {
      // Until it refuses.
    }
  }
  closeSync(file);
}

function took(file: number, bytes: Buffer): boolean {
  try {
    return writeSync(file, bytes) > 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") return false;
    throw error;
  }
}
