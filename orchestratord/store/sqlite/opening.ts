// The first look at the store: its files are made or brought up to date and everything is read once, or an
// operator is told what stands in the way.

import { rmSync } from "node:fs";
import { OrchError } from "@llama-orch/contract";
import { databasePath, openForReading, prepareDatabase, reservePath } from "./database.ts";
import { type DiskTrouble, diskTrouble } from "./disk-trouble.ts";
import { NewerDatabase } from "./migrations.ts";
import { Reading } from "./reading.ts";

/** @throws OrchError, or an error of the system that names its path */
export function openReading(folder: string): Reading {
  const open = () => {
    prepareDatabase(folder);
    return new Reading(openForReading(folder));
  };
  try {
    return open();
  } catch (error) {
    const trouble = troubleOf(folder, error);
    if (!trouble.isRoom) throw unusable(folder, trouble);
    // A full disk must not keep the daemon from ending what it admitted.
    rmSync(reservePath(folder), { force: true });
    return orSay(folder, open);
  }
}

/** @throws OrchError that says what to do where the store cannot be read */
export function orSay<T>(folder: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw unusable(folder, troubleOf(folder, error));
  }
}

function troubleOf(folder: string, error: unknown): DiskTrouble {
  if (error instanceof NewerDatabase) throw refusal(folder, error.message, error);
  if ((error as NodeJS.ErrnoException).syscall !== undefined) throw error;
  return diskTrouble(error);
}

function unusable(folder: string, { reason, isDamaged }: DiskTrouble): OrchError {
  const advice = isDamaged
    ? "Restore it from a copy, or move its files away and lose the tasks in it"
    : "Make room on its disk and let this user write to its folder";
  const elsewhere = "or choose another directory with --data-dir or LLORCH_DATA_DIR";
  return refusal(folder, `SQLite says: ${reason}. ${advice}, ${elsewhere}.`);
}

function refusal(folder: string, why: string, cause?: unknown): OrchError {
  const message = `The store ${databasePath(folder)} cannot be opened. ${why}`;
  return new OrchError("POOL_UNAVAILABLE", message, { policy_label: "storage" }, cause);
}
