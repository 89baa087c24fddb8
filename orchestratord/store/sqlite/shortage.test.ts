// What is refused when there is no room, and what is kept all the same.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startFailure } from "../../start-failure.ts";
import { admitted, ended, sent, sessionDeleted } from "../fixtures/facts.ts";
import { onDisk } from "../fixtures/on-disk.ts";
import type { SqliteStore } from "./sqlite-store.ts";

const storage = { code: "POOL_UNAVAILABLE", details: { policy_label: "storage", retry_after_ms: 30_000 } };
const body = { prompt: "x".repeat(20_000) };
const named = (jobId: string) => ({ taskId: jobId });

/** Admits until it is refused. */
async function fill(store: SqliteStore): Promise<string[]> {
  const jobs: string[] = [];
  for (;;) {
    const jobId = `j${jobs.length}`;
    try {
      await store.commit([admitted(jobId, { ...named(jobId), body })]);
    } catch (error) {
      assert.throws(() => {
        throw error;
      }, storage);
      return jobs;
    }
    jobs.push(jobId);
  }
}

test("without room nothing is admitted, and all that was admitted goes on and ends", async (t) => {
  const { folder, open } = onDisk(t);
  const store = open({ pagesMax: 100, reserveBytes: 5000 });
  const jobs = await fill(store);
  assert.ok(jobs.length > 10, `${jobs.length}`);
  assert.equal(existsSync(join(folder, "reserve")), false);
  const [first = "", second = "", third = ""] = jobs;
  const group = [
    store.commit([sent(first), { fact: "read", jobId: first }]),
    store.commit([admitted("refused", { body }), ended(second, named(second))]),
    store.commit([ended(third, named(third))]),
    store.commit([{ fact: "drained", poolId: "p", sinceMs: 0, deadlineAtMs: 1 }, sessionDeleted]),
    store.commit([admitted("small")]),
  ];
  const settled = await Promise.allSettled(group);
  assert.deepEqual(
    settled.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled", "fulfilled", "rejected"],
  );
  assert.equal(await store.remembered("default", "task"), undefined);
  assert.equal(await store.body("refused"), undefined);
  await store.close();
  const again = open();
  const live = again.recover().tasks;
  assert.deepEqual(
    live.map(({ jobId }) => jobId),
    jobs.filter((jobId) => jobId !== third),
  );
  assert.deepEqual(live[0]?.sentTo, sent(first).to);
  assert.deepEqual(await again.body(second), body);
});

test("once there is room the reserve is made again, and only then is anything admitted", async (t) => {
  const { folder, open } = onDisk(t);
  const store = open({ pagesMax: 100, reserveBytes: 5000 });
  const jobs = await fill(store);
  await assert.rejects(store.commit([admitted("small")]), storage);
  for (const jobId of jobs) await store.commit([ended(jobId, named(jobId))]);
  await assert.rejects(store.commit([admitted("small")]), storage);
  assert.equal(existsSync(join(folder, "reserve")), false);
  await store.commit([]);
  assert.equal(statSync(join(folder, "reserve")).size, 5000);
  await store.commit([admitted("small")]);
  assert.deepEqual(await store.body("small"), { prompt: "prompt of small" });
});

test("room that is asked for is there at once, and stays there for the ends of what was admitted", async (t) => {
  const { folder, open } = onDisk(t);
  const store = open({ reserveBytes: 3 * 2 ** 20 });
  const isHeld = () => existsSync(join(folder, "reserve"));
  while (!isHeld()) await store.commit([]);
  await store.commit([admitted("j1")]);
  assert.equal(store.makeRoom(), true);
  assert.equal(isHeld(), false);
  assert.equal(store.makeRoom(), false);
  await assert.rejects(store.commit([admitted("j2")]), { ...storage, message: /its reserve was needed/ });
  await store.commit([ended("j1")]);
  assert.equal(isHeld(), false);
  while (!isHeld()) await store.commit([]).catch(() => "not yet");
});

test("a store that this user may not write, or that is damaged, says what helps, and that is not room", async (t) => {
  const { folder, open } = onDisk(t);
  const store = open();
  await store.commit([admitted("j1")]);
  const path = join(folder, "store.db");
  writeFileSync(`${path}-wal`, "");
  writeFileSync(path, Buffer.alloc(statSync(path).size, 7));
  await assert.rejects(
    store.commit([ended("j1"), admitted("j2")]).then(() => store.commit([ended("j1")])),
    {
      ...storage,
      message: /(malformed|not a database|corrupt).*Check its disk, stop the daemon and restore/,
    },
  );
});

test("where the reserve does not fit nothing is admitted from the start", async (t) => {
  const { folder, open } = onDisk(t);
  const early = open();
  await early.commit([admitted("j1")]);
  await early.close();
  const store = open({ reserveBytes: 2 ** 60 });
  await assert.rejects(store.commit([admitted("j2")]), { ...storage, message: /its reserve does not fit/ });
  await assert.rejects(store.commit([]), storage);
  await store.commit([ended("j1")]);
  assert.equal((await store.transcript("default", "task"))?.jobId, "j1");
  assert.equal(existsSync(join(folder, "reserve")), false);
});

test("a folder that this user may not write is told by its path, and a damaged store by what to do", (t) => {
  const { folder, open } = onDisk(t);
  const closed = join(folder, "closed");
  mkdirSync(closed, { mode: 0o500 });
  asNobody(() => {
    assert.match(
      reason(() => open({ folder: join(closed, "store") })),
      /closed\/store cannot be used \(EACCES\)/,
    );
  });
  writeFileSync(join(folder, "store.db"), "x".repeat(10_000));
  assert.match(
    reason(() => open()),
    /^The store .*store\.db cannot be opened.*not a database.*Restore it/,
  );
});

function reason(run: () => void): string {
  try {
    run();
  } catch (error) {
    return startFailure(error) ?? String(error);
  }
  return "";
}

/** The system lets its administrator write everywhere. */
function asNobody(run: () => void): void {
  const uid = process.geteuid?.();
  if (uid === 0) process.seteuid?.(65_534);
  try {
    run();
  } finally {
    if (uid === 0) process.seteuid?.(0);
  }
}
