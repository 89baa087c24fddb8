import assert from "node:assert/strict";
import { test } from "node:test";
import type { StoreSurvey } from "@llama-orch/orchestratord/survey";
import { checkData } from "./data-directory.ts";

const store: StoreSurvey = { kind: "readable", version: 2, versionMax: 2, bytes: 5 * 2 ** 20, tasksLive: 1 };
const whole = {
  store,
  reserveBytes: 64 * 2 ** 20,
  journal: { files: 2, bytes: 3 * 2 ** 20, writtenAtMs: Date.UTC(2026, 0, 2) },
};
const lines = (...given: Parameters<typeof checkData>) =>
  checkData(...given).map(({ check, level, says }) => `${level} ${check}: ${says}`);

test("what a data directory holds is said in a line each", () => {
  assert.deepEqual(lines("/data", whole, 2 ** 30), [
    "ok data: /data",
    "ok store: version 2, 5.0 MiB, 1 task waiting or running",
    "ok reserve: 64.0 MiB held for the ends of admitted tasks",
    "ok journal: 2 files, 3.0 MiB, last written 2026-01-02T00:00:00.000Z",
  ]);
  assert.deepEqual(lines("/data", { reserveBytes: 0 }, 2 ** 30), [
    "ok data: /data has no store yet; the first start makes it",
  ]);
});

test("a reserve that is not held is a warning, with how much the disk has left", () => {
  const { journal: _, ...without } = whole;
  assert.deepEqual(lines("/data", { ...without, reserveBytes: 0 }, 10 * 2 ** 20).slice(2), [
    "warn reserve: No room is held for the ends of admitted tasks; the disk has 10.0 MiB free.",
    "ok journal: none is kept",
  ]);
});

test("a store that cannot be read, or only by a later release, is bad and says what to do", () => {
  const unreadable = { kind: "unreadable", reason: "file is not a database" } as const;
  const later = { ...store, version: 9 };
  const old = { ...store, version: 1 };
  const found = [unreadable, later, old].map((each) => checkData("/data", { ...whole, store: each }, 0)[1]);
  assert.deepEqual(
    found.map((each) => [each?.level, each?.says]),
    [
      ["bad", "cannot be read: file is not a database"],
      ["bad", "version 9, and this release knows 2 at most"],
      ["ok", "version 1, which the next start brings up to date, 5.0 MiB, 1 task waiting or running"],
    ],
  );
  for (const each of found) assert.equal(each?.level === "ok", each?.todo === undefined);
});
