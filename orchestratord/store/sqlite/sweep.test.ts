import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { admitted, ended } from "../fixtures/facts.ts";
import { onDisk } from "../fixtures/on-disk.ts";

const mib = 2 ** 20;

test("room that is no longer needed goes back to the disk, from the tables and from their log", async (t) => {
  const { folder, open } = onDisk(t);
  const store = open();
  const sizes = () => ["store.db", "store.db-wal"].map((name) => statSync(join(folder, name)).size / mib);
  const jobs = Array.from({ length: 400 }, (_, n) => ({ jobId: `j${n}`, taskId: `t${n}` }));
  const body = { prompt: "x".repeat(100_000) };
  // Half of it in one group, which the log must hold in one piece.
  await store.commit(jobs.slice(200).map(({ jobId, taskId }) => admitted(jobId, { taskId, body })));
  for (const { jobId, taskId } of jobs.slice(0, 200)) await store.commit([admitted(jobId, { taskId, body })]);
  const [full = 0] = sizes();
  assert.ok(full > 30, `${full} MiB`);
  for (const { jobId, taskId } of jobs) await store.commit([ended(jobId, { taskId })]);
  await store.sweep(0);
  for (let n = 0; n < 10; n++) await store.commit([]);
  const [tables = 0, log = 0] = sizes();
  assert.ok(tables < 12, `${tables} MiB`);
  assert.ok(log <= 17, `${log} MiB`);
});

test("between two pieces of a sweep what is told is written", async (t) => {
  const { open } = onDisk(t);
  const store = open();
  const jobs = Array.from({ length: 3000 }, (_, n) => ({ jobId: `j${n}`, taskId: `t${n}` }));
  await store.commit(jobs.map(({ jobId, taskId }) => admitted(jobId, { taskId })));
  await store.commit(jobs.map(({ jobId, taskId }) => ended(jobId, { taskId })));
  const order: string[] = [];
  const sweeping = store.sweep(10_000).then(() => order.push("swept"));
  await store.commit([admitted("new")]).then(() => order.push("admitted"));
  await sweeping;
  assert.deepEqual(order, ["admitted", "swept"]);
  assert.equal(await store.remembered("default", "t0"), undefined);
});
