// What lies in a data directory, looked at from outside: a daemon may run in it meanwhile and is not
// disturbed. Nothing is made, locked for long or written.

import { statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { journalFiles } from "./journal/folder.ts";
import { databasePath, reservePath } from "./store/sqlite/database.ts";
import { migrations, versionOf } from "./store/sqlite/migrations.ts";

export interface Survey {
  /** Absent where no daemon has been yet. */
  readonly store?: StoreSurvey;
  readonly reserveBytes: number;
  /** Absent where none is kept. */
  readonly journal?: JournalSurvey;
}

export type StoreSurvey =
  | { readonly kind: "unreadable"; readonly reason: string }
  | {
      readonly kind: "readable";
      readonly version: number;
      /** The newest that this release knows; an older one is brought up to date at the next start. */
      readonly versionMax: number;
      readonly bytes: number;
      /** Unknown in tables of another version. */
      readonly tasksLive?: number;
    };

export interface JournalSurvey {
  readonly files: number;
  readonly bytes: number;
  readonly writtenAtMs: number;
}

/** A folder of somebody else has an unreadable store, and nothing else that could be said of it. */
export function surveyData(dataDir: string): Survey {
  const folder = join(dataDir, "store");
  const store = surveyStore(databasePath(folder));
  const journal = orNothing(() => surveyJournal(join(dataDir, "journal")));
  return {
    ...(store !== undefined && { store }),
    reserveBytes: orNothing(() => sizeOf(reservePath(folder))) ?? 0,
    ...(journal !== undefined && { journal }),
  };
}

function orNothing<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    return undefined;
  }
}

function surveyStore(path: string): StoreSurvey | undefined {
  try {
    const bytes = sizeOf(path);
    if (bytes === undefined) return undefined;
    const logBytes = sizeOf(`${path}-wal`);
    using db = opened(path, logBytes !== undefined);
    const version = versionOf(db);
    const known = { version, versionMax: migrations.length, bytes: bytes + (logBytes ?? 0) };
    if (version === 0 || version > migrations.length) return { kind: "readable", ...known };
    const tasksLive = Number(db.prepare("SELECT count(*) AS tasks FROM texts").get()?.tasks);
    return { kind: "readable", ...known, tasksLive };
  } catch (error) {
    return { kind: "unreadable", reason: (error as Error).message };
  }
}

const busyMs = 1000;

/**
 * Beside its log the file is read as any reader does, who keeps nobody from writing. Without one nobody is
 * there, and a reader would make files of its own; it is taken as it lies.
 */
function opened(path: string, hasLog: boolean): DatabaseSync {
  const url = pathToFileURL(path);
  if (!hasLog) url.searchParams.set("immutable", "1");
  return new DatabaseSync(url, { readOnly: true, timeout: busyMs });
}

function surveyJournal(folder: string): JournalSurvey | undefined {
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) return undefined;
  const stats = journalFiles(folder).flatMap(({ path }) => statSync(path, { throwIfNoEntry: false }) ?? []);
  if (stats.length === 0) return undefined;
  const bytes = stats.reduce((sum, { size }) => sum + size, 0);
  return { files: stats.length, bytes, writtenAtMs: Math.max(...stats.map(({ mtimeMs }) => mtimeMs)) };
}

const sizeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.size;
