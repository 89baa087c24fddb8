// The file of the store: made, brought up to date and opened, with every setting that its safety rests on.
// Who reads and who writes is decided elsewhere.

import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { migrate, versionOf } from "./migrations.ts";

/** Another connection holds the file for moments only. */
const busyMs = 5000;
/** The log is copied into the tables when it has so many pages, and keeps no more of the disk afterwards. */
const logPages = 2000;
const logBytes = 16 * 2 ** 20;

export const databasePath = (folder: string): string => join(folder, "store.db");

export const reservePath = (folder: string): string => join(folder, "reserve");

/** @throws Error of SQLite or of the system; NewerDatabase */
export function prepareDatabase(folder: string): void {
  const made = mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  if (made !== undefined) syncFolder(dirname(made));
  // SQLite gives its log the mode of the file beside it, so that has to be right before it is opened.
  const path = databasePath(folder);
  closeSync(openSync(path, "a", 0o600));
  chmodSync(path, 0o600);
  const db = new DatabaseSync(path, { timeout: busyMs });
  try {
    // It counts only before the first table, and a full disk must not be written to for nothing.
    if (versionOf(db) === 0) db.exec("PRAGMA auto_vacuum = INCREMENTAL");
    migrate(db);
    db.exec("PRAGMA journal_mode = WAL");
  } finally {
    db.close();
  }
}

export function openForReading(folder: string): DatabaseSync {
  return new DatabaseSync(databasePath(folder), { readOnly: true, timeout: busyMs });
}

/** @param pagesMax the database may not grow beyond */
export function openForWriting(folder: string, pagesMax: number | undefined): DatabaseSync {
  const db = new DatabaseSync(databasePath(folder), { timeout: busyMs });
  db.exec(`PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = ${logPages}`);
  db.exec(`PRAGMA journal_size_limit = ${logBytes}; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY`);
  if (pagesMax !== undefined) db.exec(`PRAGMA max_page_count = ${pagesMax}`);
  return db;
}

function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
