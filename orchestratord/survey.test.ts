import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { running } from "./fixtures/running.ts";
import { admitted } from "./store/fixtures/facts.ts";
import { SqliteStore } from "./store/sqlite/sqlite-store.ts";
import { surveyData } from "./survey.ts";

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "llama-orch-survey-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const storeIn = (dataDir: string) =>
  SqliteStore.open({
    folder: join(dataDir, "store"),
    nowMs: () => 0,
    keepEndedMs: 0,
    rememberMs: 0,
    reserveBytes: 1000,
  });

test("a store is surveyed while it is written, as it lies, and leaves no file behind", async (t) => {
  const dataDir = folderFor(t);
  const store = storeIn(dataDir);
  await store.commit([admitted("a"), admitted("b", { taskId: "b" })]);
  const during = surveyData(dataDir);
  await store.commit([admitted("c", { taskId: "c" })]);
  await store.close();
  const names = readdirSync(join(dataDir, "store"));
  const after = surveyData(dataDir);
  assert.deepEqual(readdirSync(join(dataDir, "store")), names);
  for (const [{ store: found, reserveBytes, journal }, tasks] of [
    [during, 2],
    [after, 3],
  ] as const) {
    assert.ok(found?.kind === "readable" && found.version === found.versionMax && found.bytes > 4096);
    assert.equal(found.tasksLive, tasks);
    assert.deepEqual([reserveBytes, journal], [1000, undefined]);
  }
});

test("a store that is none is unreadable, and where nobody has been there is nothing", (t) => {
  const dataDir = folderFor(t);
  assert.deepEqual(surveyData(dataDir), { reserveBytes: 0 });
  mkdirSync(join(dataDir, "store"));
  writeFileSync(join(dataDir, "store/store.db"), "This is no database. ".repeat(100));
  assert.deepEqual(surveyData(dataDir).store, { kind: "unreadable", reason: "file is not a database" });
});

test("the journal of a daemon is counted", async (t) => {
  const config = { data_dir: folderFor(t) };
  const { stop } = await running(t, { config });
  await stop();
  const { journal, store } = surveyData(config.data_dir);
  assert.ok(journal?.files === 1 && journal.bytes > 100);
  assert.ok(Math.abs(Date.now() - journal.writtenAtMs) < 60_000);
  assert.ok(store?.kind === "readable" && store.tasksLive === 0);
});
