// From whatever version a database has to the newest one, whole or not at all. Its version is the number of
// migrations it has seen, and stands in its header.

import type { DatabaseSync } from "node:sqlite";
import { tables } from "./migrations/0001-tables.ts";
import { views } from "./migrations/0002-views.ts";

/** Later ones are added at the end. */
export const migrations: readonly string[] = [tables, views];

/** The database was written by a later release. */
export class NewerDatabase extends Error {}

/** @throws NewerDatabase, or Error of SQLite with nothing changed */
export function migrate(db: DatabaseSync, known = migrations): void {
  const version = versionOf(db);
  if (version === known.length) return;
  if (version > known.length) {
    throw new NewerDatabase(
      `It has version ${version} and this release knows versions up to ${known.length}. Start the ` +
        "release that wrote it or a later one, or choose another directory with --data-dir or LLORCH_DATA_DIR.",
    );
  }
  db.exec("BEGIN IMMEDIATE");
  try {
    for (const sql of known.slice(version)) db.exec(sql);
    db.exec(`PRAGMA user_version = ${known.length}`);
    db.exec("COMMIT");
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

export function versionOf(db: DatabaseSync): number {
  return Number(db.prepare("PRAGMA user_version").get()?.user_version);
}
