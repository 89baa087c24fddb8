// A new version adds its migration and, beside the others, a fixture: the installation as that version wrote
// it. Nothing else changes here.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { installation, recovered } from "../fixtures/installation.ts";
import { onDisk } from "../fixtures/on-disk.ts";
import { migrate, migrations, versionOf } from "./migrations.ts";

const versions = migrations.map((_, before) => before + 1);
const newest = migrations.length;

function writtenBy(version: number): string {
  return readFileSync(join(import.meta.dirname, `migrations/fixtures/version-${version}.sql`), "utf8");
}

function shapeOf(db: DatabaseSync) {
  return db.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY name").all();
}

for (const version of versions) {
  test(`a store that version ${version} wrote goes on as if it had been written now`, async (t) => {
    const { folder, open } = onDisk(t);
    const old = new DatabaseSync(join(folder, "store.db"));
    old.exec(writtenBy(version));
    assert.equal(versionOf(old), version);
    old.close();
    const store = open();
    assert.deepEqual(store.recover(), recovered);
    assert.deepEqual(await store.body("waits"), { prompt: "prompt of waits" });
    assert.equal((await store.transcript("default", "over"))?.transcript, "sha256:over");
    const fresh = new DatabaseSync(":memory:");
    migrate(fresh);
    const migrated = new DatabaseSync(join(folder, "store.db"));
    assert.deepEqual(shapeOf(migrated), shapeOf(fresh));
    assert.equal(versionOf(migrated), newest);
    for (const db of [fresh, migrated]) db.close();
  });
}

test("the installation that older versions wrote is the one that this version writes", async (t) => {
  const { open } = onDisk(t);
  const store = open();
  await store.commit(installation);
  assert.deepEqual(store.recover(), recovered);
});

test("a migration that fails leaves the database as it was", () => {
  const db = new DatabaseSync(":memory:");
  migrate(db);
  const shape = shapeOf(db);
  assert.throws(() => migrate(db, [...migrations, "CREATE TABLE more (a)", "CREATE TABLE more (a)"]));
  assert.deepEqual(shapeOf(db), shape);
  assert.equal(versionOf(db), newest);
  db.close();
});

test("a store of a later release is left alone, and its reader is told what to do", (t) => {
  const { folder, open } = onDisk(t);
  const later = new DatabaseSync(join(folder, "store.db"));
  later.exec(`CREATE TABLE later (a); PRAGMA user_version = ${newest + 1}`);
  later.close();
  const before = readFileSync(join(folder, "store.db"));
  assert.throws(open, {
    code: "POOL_UNAVAILABLE",
    message: new RegExp(
      `store\\.db cannot be opened\\. It has version ${newest + 1} and this release knows versions up to ` +
        `${newest}\\. Start the release that wrote it or a later one, or choose another directory`,
    ),
  });
  assert.deepEqual(readFileSync(join(folder, "store.db")), before);
});
