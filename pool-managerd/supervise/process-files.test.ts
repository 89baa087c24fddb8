import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { systemClock } from "./clock.ts";
import { ManualClock, temporaryFolder, untilGone } from "./fixtures/place.ts";
import type { LogLine } from "./log.ts";
import { ProcessFiles } from "./process-files.ts";
import { startOf } from "./process-identity.ts";

/** A process that has nothing to do with us, in a group of its own, gone after the test. */
function stranger(t: TestContext): ChildProcess & { pid: number } {
  const child = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
  t.after(() => child.kill("SIGKILL"));
  assert.ok(child.pid !== undefined);
  return child as ChildProcess & { pid: number };
}

interface Written {
  readonly pid: number;
  readonly start: string | undefined;
}

/** What a run that was killed would have left in the folder. */
function leave(
  folder: string,
  engine: Written,
  supervisor: Written = { pid: 4_194_303, start: "a:1" },
): void {
  const engines = [{ ...engine, pidFile: "demo.pid" }];
  writeFileSync(`${folder}/processes`, JSON.stringify({ epoch: 5, supervisor, engines }));
  writeFileSync(`${folder}/demo.pid`, `${engine.pid}\n`);
}

async function open(folder: string) {
  const lines: LogLine[] = [];
  const files = await ProcessFiles.open(folder, systemClock, (line) => void lines.push(line));
  return { files, lines };
}

test("an engine that an earlier run left behind is ended before anything starts, a stopped one too", async (t) => {
  const folder = temporaryFolder(t);
  const { pid } = stranger(t);
  process.kill(pid, "SIGSTOP");
  leave(folder, { pid, start: startOf(pid) });
  const { lines } = await open(folder);
  assert.equal(startOf(pid), undefined);
  assert.ok(!existsSync(`${folder}/demo.pid`));
  assert.deepEqual(
    lines.map(({ event }) => event),
    ["engine_leftover_ended"],
  );
});

test("a process that has the number of a leftover but another start is left alone", async (t) => {
  const folder = temporaryFolder(t);
  const { pid } = stranger(t);
  const start = startOf(pid) as string;
  const [boot, tick] = start.split(":");
  for (const other of [`${boot}:${Number(tick) - 1}`, `another-boot:${tick}`, undefined]) {
    leave(folder, { pid, start: other });
    await open(folder);
    assert.equal(startOf(pid), start);
    assert.ok(!existsSync(`${folder}/demo.pid`));
  }
});

test("a folder whose supervisor still runs is refused, and its engines are left alone", async (t) => {
  const folder = temporaryFolder(t);
  const [engine, supervisor] = [stranger(t), stranger(t)];
  const start = startOf(engine.pid);
  leave(folder, { pid: engine.pid, start }, { pid: supervisor.pid, start: startOf(supervisor.pid) });
  await assert.rejects(open(folder), {
    name: "OrchError",
    message: new RegExp(`^Process ${supervisor.pid} `),
  });
  assert.equal(startOf(engine.pid), start);
});

test("a damaged record is told of and kills nobody", async (t) => {
  const folder = temporaryFolder(t);
  const { pid } = stranger(t);
  const damaged = [
    "{",
    "[]",
    "null",
    JSON.stringify({ epoch: 1, engines: [{ pid: 0, start: "a:1", pidFile: "demo.pid" }] }),
    JSON.stringify({ epoch: 1, engines: [{ pid, start: startOf(pid), pidFile: "../demo.pid" }] }),
  ];
  for (const text of damaged) {
    writeFileSync(`${folder}/processes`, text);
    const { lines } = await open(folder);
    assert.deepEqual(
      lines.map(({ event }) => event),
      ["engine_record_damaged"],
    );
  }
  assert.notEqual(startOf(pid), undefined);
});

test("epochs grow from process to process and from run to run, even when the wall clock jumps back", async (t) => {
  const folder = temporaryFolder(t);
  const late = new ManualClock();
  late.advance(1_000_000);
  const first = await ProcessFiles.open(folder, late, () => {});
  const { pid } = stranger(t);
  const epochs = [first.nextEpoch(), first.nextEpoch()];
  first.add(pid, "demo", "r0");
  first.remove(pid);
  const second = await ProcessFiles.open(folder, new ManualClock(), () => {});
  epochs.push(second.nextEpoch(), second.nextEpoch());
  assert.deepEqual(
    epochs,
    [...new Set(epochs)].sort((a, b) => a - b),
  );
});

test("pid files are plain numbers, follow a replica to its next process, and go with the last", async (t) => {
  const folder = temporaryFolder(t);
  const { files } = await open(folder);
  const [old, coming, other] = [stranger(t), stranger(t), stranger(t)];
  const read = (name: string) => readFileSync(`${folder}/${name}`, "utf8");
  files.add(old.pid, "demo", "r0");
  files.add(other.pid, "demo", "r1");
  assert.equal(read("demo.pid"), `${old.pid}\n`);
  assert.equal(read("demo@r1.pid"), `${other.pid}\n`);
  files.add(coming.pid, "demo", "r0");
  assert.equal(read("demo.pid"), `${coming.pid}\n`);
  files.remove(old.pid);
  assert.equal(read("demo.pid"), `${coming.pid}\n`);
  files.add(old.pid, "demo", "r0");
  files.remove(old.pid);
  assert.equal(read("demo.pid"), `${coming.pid}\n`);
  files.remove(coming.pid);
  files.remove(other.pid);
  assert.deepEqual(readdirSync(folder), ["processes"]);
});

test("the last moment of a program is enough to end its engines", async (t) => {
  const { files } = await open(temporaryFolder(t));
  const { pid } = stranger(t);
  files.add(pid, "demo", "r0");
  files.killAll();
  assert.ok(await untilGone(pid));
});
