import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import type { TaskSubmitted } from "@llama-orch/core";
import { eventsOf, type Teller, teller } from "./fixtures/told-journal.ts";
import { readJournal } from "./read.ts";
import { replay } from "./replay.ts";
import { stateBytes } from "./state-bytes.ts";

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "llama-orch-journal-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "journal");
}

const files = (folder: string): string[] => readdirSync(folder).sort();
const sizeOf = (folder: string): number =>
  files(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);

function toggle({ tell }: Teller, times: number): void {
  for (let n = 0; n < times; n++) tell({ type: "StorageChanged", full: n % 2 === 0 });
}

test("files have no more bytes together than they may: the oldest go, and the others still replay", async (t) => {
  const folder = folderFor(t);
  const maxBytes = 64 * 1024;
  const told = teller(folder, { maxBytes, fileBytes: 8 * 1024 });
  for (let round = 0; round < 60; round++) {
    toggle(told, 20);
    await told.journal.flush();
    assert.ok(sizeOf(folder) <= maxBytes, `${sizeOf(folder)} bytes`);
  }
  await told.journal.close();
  assert.ok(sizeOf(folder) > maxBytes / 2, `${sizeOf(folder)} bytes`);
  assert.ok(!files(folder).includes("0000000001.jsonl"));
  const replayed = await replay(readJournal(folder));
  assert.deepEqual([replayed.difference, replayed.gaps, replayed.torn], [undefined, [], []]);
  assert.ok(replayed.events > 100 && replayed.events < 1200);
  assert.deepEqual(told.troubles, []);
});

test("a daemon that starts again goes on behind the files of the one before", async (t) => {
  const folder = folderFor(t);
  for (const story of ["happy-life", "node-loss"]) {
    const told = teller(folder);
    told.story(story);
    await told.journal.close();
  }
  assert.deepEqual(files(folder), ["0000000001.jsonl", "0000000002.jsonl"]);
  const { files: read, gaps, difference } = await replay(readJournal(folder));
  assert.deepEqual([read, gaps, difference], [2, [], undefined]);
});

test("only its owner may read a journal", async (t) => {
  const folder = folderFor(t);
  await teller(folder).journal.close();
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.equal(statSync(join(folder, files(folder)[0] ?? "")).mode & 0o777, 0o600);
});

test("what is recorded is written 100 ms later, or as soon as it is much", async (t) => {
  const folder = folderFor(t);
  const told = teller(folder, { maxBytes: 2 ** 24 });
  toggle(told, 3);
  told.clock.advance(99);
  assert.ok(!existsSync(folder));
  told.clock.advance(1);
  await told.journal.flush();
  assert.equal((await replay(readJournal(folder))).events, 3);
  assert.equal(told.clock.timers, 0);
  const { length } = JSON.stringify(told.core.state.settings);
  const settings = { ...told.core.state.settings, tenantBudgets: { ["t".repeat(256 * 1024 - length)]: {} } };
  told.tell({ type: "Configured", settings });
  assert.equal(told.clock.timers, 0, "nothing is waited for");
  await told.journal.flush();
  assert.equal((await replay(readJournal(folder))).events, 4);
  await told.journal.close();
});

test("after a bug all that was decided is written before anything else happens", async (t) => {
  const folder = folderFor(t);
  const told = teller(folder);
  toggle(told, 5);
  told.journal.flushSync();
  const path = join(folder, "0000000001.jsonl");
  const written = readFileSync(path, "utf8");
  assert.equal(written.split("\n").length, 7);
  // Also what a write that is under way has begun with.
  toggle(told, 5);
  const flushed = told.journal.flush();
  await Promise.resolve();
  await Promise.resolve();
  toggle(told, 5);
  told.journal.flushSync();
  const all = readFileSync(path, "utf8");
  assert.ok(all.startsWith(written));
  assert.equal(all.split("\n").length, 17);
  await flushed;
  toggle(told, 1);
  await told.journal.close();
  const replayed = await replay(readJournal(folder));
  assert.deepEqual([replayed.events, replayed.difference], [16, undefined]);
});

test("a disk that refuses is told of once, and the journal goes on with the state when it takes again", async (t) => {
  const folder = folderFor(t);
  const told = teller(folder, { fileBytes: 8 * 1024 });
  toggle(told, 3);
  await told.journal.flush();
  rmSync(folder, { recursive: true });
  writeFileSync(folder, "in the way");
  // The file that is open takes what it gets; the next one cannot be made.
  for (let n = 0; n < 20; n++) {
    toggle(told, 50);
    await told.journal.flush();
  }
  assert.equal(told.troubles.length, 1);
  assert.match(
    told.troubles[0] ?? "",
    /^The journal cannot be written \(.*\)\. See that its folder is one, .*; decisions are left out of it/,
  );
  told.clock.advance(1000);
  await told.journal.flush();
  told.clock.advance(1999);
  rmSync(folder);
  toggle(told, 3);
  await told.journal.flush();
  assert.ok(!existsSync(folder), "the second pause is longer");
  told.clock.advance(1);
  toggle(told, 4);
  await told.journal.close();
  const replayed = await replay(readJournal(folder));
  assert.deepEqual([replayed.events, replayed.difference, told.troubles.length], [4, undefined, 1]);
});

test("a file that the disk takes in part ends with its last whole line, and what is missing is known", async (t) => {
  const folder = folderFor(t);
  const program = `${import.meta.dirname}/fixtures/limited-journal.ts`;
  const command = ["-c", 'ulimit -f 64; exec "$0" "$1"', process.execPath, program];
  const { status, stdout, stderr } = spawnSync("sh", command, { cwd: dirname(folder) });
  assert.equal(status, 0, stderr.toString());
  const troubles = JSON.parse(stdout.toString()) as string[];
  assert.match(troubles[0] ?? "", /EFBIG/);
  const { events, files: read, gaps, torn, difference } = await replay(readJournal(folder));
  assert.deepEqual([torn, difference], [[], undefined]);
  assert.ok(read > 1, "it went on");
  assert.equal(gaps.length, read - 1);
  const missing = gaps.reduce((sum, { fromSeq, toSeq }) => sum + toSeq - fromSeq + 1, 0);
  assert.equal(events + missing, await lastSeq(folder));
});

async function lastSeq(folder: string): Promise<number> {
  let last = 0;
  for await (const item of readJournal(folder)) if (item.kind === "entry") last = item.entry.event.seq;
  return last;
}

test("a disk that is too slow costs memory up to a bound, and then decisions but never a hole", async (t) => {
  const folder = folderFor(t);
  const told = teller(folder, { maxBytes: 2 ** 30 });
  const settings = { ...told.core.state.settings, tenantBudgets: { ["t".repeat(2 ** 20)]: {} } };
  // In one turn no disk is fast enough.
  for (let n = 0; n < 40; n++) told.tell({ type: "Configured", settings });
  assert.equal(told.troubles.length, 1);
  assert.match(told.troubles[0] ?? "", /^The journal waits for a slow disk\. /);
  await told.journal.flush();
  told.tell({ type: "Configured", settings });
  await told.journal.close();
  const { events, gaps, difference } = await replay(readJournal(folder));
  const file = join(folder, "0000000002.jsonl");
  assert.deepEqual([events, gaps, difference], [17, [{ file, fromSeq: 17, toSeq: 40 }], undefined]);
});

test("a state that is too large for the room is not written down at all", async (t) => {
  const folder = folderFor(t);
  const told = teller(folder, { maxBytes: 64 * 1024 });
  told.story("happy-life");
  const [submitted = assert.fail()] = eventsOf("happy-life").filter(({ type }) => type === "TaskSubmitted");
  for (let n = 0; n < 200; n++) {
    const { task } = submitted as TaskSubmitted;
    const id = `waits-${n}`;
    told.tell({ ...(submitted as TaskSubmitted), jobId: id, task: { ...task, taskId: id, sessionId: id } });
    await told.journal.flush();
  }
  assert.match(
    told.troubles[0] ?? "",
    /^The journal has too little room for the state of \d+ tasks\. Raise journal\.max_bytes;/,
  );
  await told.journal.close();
  assert.ok(sizeOf(folder) <= 64 * 1024);
  const written = told.core.snapshotText().length;
  const estimated = stateBytes(told.core.state);
  assert.ok(estimated > written && estimated < 2 * written, `${estimated} for ${written}`);
});

test("without room there is no journal, and the one of before is gone", async (t) => {
  const folder = folderFor(t);
  await teller(folder).journal.close();
  const told = teller(folder, { maxBytes: 0 });
  toggle(told, 3);
  told.clock.advance(100_000);
  await told.journal.close();
  assert.ok(!existsSync(folder));
  assert.deepEqual(told.troubles, []);
});
