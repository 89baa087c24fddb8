// What is promised whatever happens to the process, the disk or the thread that writes.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { admitted, sent } from "../fixtures/facts.ts";
import { onDisk } from "../fixtures/on-disk.ts";

const program = (path: string) => join(import.meta.dirname, path);
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test("a process that is killed in the middle of its commits loses nothing that was answered", async (t) => {
  const { folder, open } = onDisk(t);
  const child = spawn(process.execPath, [program("../fixtures/committing.ts"), folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const answered: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    answered.push(line);
    if (answered.length === 500) child.kill("SIGKILL");
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  assert.equal(child.signalCode, "SIGKILL");
  const store = open();
  const live = new Set(store.recover().tasks.map(({ jobId }) => jobId));
  let ends = 0;
  for (const line of answered) {
    const [what, jobId = ""] = line.split(" ");
    const isOver = (await store.transcript("default", jobId)) !== undefined;
    assert.ok(isOver || (what === "a" && live.has(jobId)), line);
    if (what === "e") ends++;
  }
  assert.ok(ends > 100, `${ends} ends`);
});

test("what is told in one turn is a group, and what is told while it is written is the next one", async (t) => {
  const store = onDisk(t).open();
  let turns = 0;
  let isOver = false;
  const counting = (async () => {
    for (; !isOver; turns++) await turn();
  })();
  const settled = new Map<number, number>();
  const tell = async (jobId: string) => {
    await store.commit([admitted(jobId, { taskId: jobId })]);
    settled.set(turns, (settled.get(turns) ?? 0) + 1);
  };
  const first = Array.from({ length: 50 }, (_, n) => tell(`j${n}`));
  await turn();
  const told = [...first, ...Array.from({ length: 150 }, (_, n) => tell(`k${n}`))];
  await turn();
  told.push(tell("last"));
  await Promise.all(told);
  isOver = true;
  await counting;
  assert.deepEqual([...settled.values()], [50, 151]);
});

test("a disk that takes its time holds up neither the process nor its questions", async (t) => {
  const { folder, open } = onDisk(t);
  const store = open();
  await store.commit([admitted("early", { taskId: "early" })]);
  const other = new DatabaseSync(join(folder, "store.db"));
  other.exec("BEGIN IMMEDIATE");
  let isSafe = false;
  const writing = store.commit([admitted("j1")]).then(() => {
    isSafe = true;
  });
  for (let n = 0; n < 50; n++) await turn();
  assert.equal((await store.remembered("default", "early"))?.answer.jobId, "early");
  assert.equal((await store.remembered("default", "task"))?.answer.jobId, "j1");
  assert.equal(isSafe, false);
  other.exec("ROLLBACK");
  other.close();
  await writing;
});

test("closing waits for all that was told, and leaves no thread, file or timer", async (t) => {
  const { folder, open } = onDisk(t);
  const before = process.getActiveResourcesInfo();
  const store = open({ reserveBytes: 2 ** 24 });
  const told = [store.commit([admitted("j1")]), store.commit([sent("j1")]), store.sweep(0)];
  await store.close();
  await Promise.all(told);
  assert.deepEqual(process.getActiveResourcesInfo(), before);
  const files = readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // It was the listing itself.
      return [];
    }
  });
  assert.deepEqual(
    files.filter((file) => file.startsWith(folder)),
    [],
  );
  assert.deepEqual(readdirSync(folder).sort(), ["reserve", "store.db"]);
  await assert.rejects(store.commit([sent("j1")]), { code: "POOL_UNAVAILABLE", message: /it was closed/ });
  assert.deepEqual(open().recover().tasks[0]?.sentTo, sent("j1").to);
});

test("files are its owner's alone", async (t) => {
  const { folder, open } = onDisk(t);
  const store = open({ reserveBytes: 100 });
  await store.commit([admitted("j1")]);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  const modes = readdirSync(folder).map((name) => [name, statSync(join(folder, name)).mode & 0o777]);
  assert.deepEqual(
    modes.sort(),
    ["reserve", "store.db", "store.db-shm", "store.db-wal"].map((name) => [name, 0o600]),
  );
});

test("ten thousand tasks that are not over are back at once", async (t) => {
  const { open } = onDisk(t);
  const jobs = Array.from({ length: 10_000 }, (_, n) => `j${n}`);
  const store = open();
  await store.commit(jobs.map((jobId) => admitted(jobId, { taskId: jobId })));
  await store.close();
  const startedMs = performance.now();
  const { tasks } = open().recover();
  const tookMs = performance.now() - startedMs;
  assert.deepEqual(
    tasks.map(({ jobId }) => jobId),
    jobs,
  );
  assert.ok(tookMs < 2000, `${tookMs} ms`);
});

test("what cannot be kept is a bug of who told it: nobody else loses anything, and the daemon hears of it once", async (t) => {
  const heard: Error[] = [];
  const store = onDisk(t).open({ onTrouble: (error) => heard.push(error) });
  const wrong = () => store.commit([{ fact: "drained", poolId: "p", sinceMs: Number.NaN, deadlineAtMs: 1 }]);
  const bug = { name: "AssertionError", message: /was told what it cannot keep: .*NOT NULL/ };
  const [kept, ...bugs] = [store.commit([admitted("j1")]), wrong(), wrong()];
  for (const each of bugs) await assert.rejects(each, bug);
  await kept;
  await store.commit([sent("j1")]);
  assert.equal(heard.length, 1);
  assert.deepEqual(
    store.recover().tasks.map(({ jobId }) => jobId),
    ["j1"],
  );
  await store.close();
});

test("a thread that ends by itself is a bug: nothing is kept any more, and the daemon hears of it", async (t) => {
  const heard: Error[] = [];
  const store = onDisk(t).open({ onTrouble: (error) => heard.push(error) });
  await store.commit([admitted("j1")]);
  // No daemon tells a time that is none.
  const told = [store.sweep({ nobody: 1 } as unknown as number), store.sweep(0)];
  for (const each of told) await assert.rejects(each, { name: "AssertionError", message: /has ended/ });
  await assert.rejects(store.commit([sent("j1")]), { name: "AssertionError" });
  assert.equal(heard.length, 1);
  assert.equal((await store.remembered("default", "task"))?.answer.jobId, "j1");
  await store.close();
});

const small = ["-Urm", "sh", "-c", 'mount -t tmpfs -o size=6m none "$1" && shift && exec "$@"', "sh"];
const mounts = spawnSync("unshare", [...small, tmpdir(), "true"]).status === 0;

test("on a full disk nothing is admitted, everything admitted ends, and room is noticed", {
  skip: !mounts,
}, (t) => {
  const folder = mkdtempSync(join(tmpdir(), "store-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const filling = [process.execPath, program("../fixtures/filling.ts"), folder];
  const { stdout, stderr, status } = spawnSync("unshare", [...small, folder, ...filling], {
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  const { admitted: jobs, refusal, ...seen } = JSON.parse(stdout);
  assert.ok(jobs > 50, stdout);
  assert.match(refusal, /^The store cannot be written \(.*full.*\)\. Make room /);
  assert.deepEqual(seen, {
    wasGivenBack: true,
    stillRefused: true,
    endsRefused: 0,
    live: ["j0"],
    refusedAgain: true,
    isReserved: true,
  });
});
