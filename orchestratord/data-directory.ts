// The folder a daemon keeps everything in. It belongs to one daemon at a time: the lock is the database
// engine's own file lock, which the system gives back however the process ends.

import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { isDiskFull } from "./disk-full.ts";

export interface DataDirectory {
  readonly path: string;
  release(): void;
}

/** Somebody else holds the folder; the message says who. */
export class DirectoryTaken extends Error {
  readonly path: string;
  /** A process id, or `unknown`. */
  readonly holder: string;

  constructor(path: string, holder: string, options?: ErrorOptions) {
    const todo = "Stop that daemon first, or choose another directory with --data-dir or LLORCH_DATA_DIR.";
    super(`The data directory ${path} is in use by process ${holder}. ${todo}`, options);
    this.path = path;
    this.holder = holder;
  }
}

export function takeDataDirectory(path: string): DataDirectory {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
  const holder = join(path, "daemon.pid");
  // SQLite gives its journal the mode of the file beside it, so that has to be right before it is opened.
  closeSync(openSync(join(path, "daemon.lock"), "a", 0o600));
  chmodSync(join(path, "daemon.lock"), 0o600);
  const lock = new DatabaseSync(join(path, "daemon.lock"));
  try {
    // Nothing is ever written to it, so its journal, for which a full disk has no room, is in memory.
    lock.exec("PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;");
  } catch (cause) {
    lock.close();
    const { errcode } = cause as { errcode?: number };
    if (errcode !== sqliteBusy) throw cause;
    throw new DirectoryTaken(path, readHolder(holder), { cause });
  }
  noteHolder(holder);
  return {
    path,
    release() {
      rmSync(holder, { force: true });
      lock.close();
    },
  };
}

/** Only said to others; where there is no room for it the lock holds all the same. */
function noteHolder(path: string): void {
  try {
    writeFileSync(path, String(process.pid), { mode: 0o600 });
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    // It was made and is empty, or names an earlier holder.
    rmSync(path, { force: true });
  }
}

const sqliteBusy = 5;
const unknown = "unknown";

function readHolder(path: string): string {
  try {
    return readFileSync(path, "utf8").trim() || unknown;
  } catch {
    return unknown;
  }
}
