import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { runTestFile } from "./test-file.ts";

/** Enough for Node to start on a busy machine. */
const LIMIT_MS = 3000;

async function run(t: TestContext, source: string, limitMs?: number) {
  const root = mkdtempSync(join(tmpdir(), "llama-orch-run-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  writeFileSync(join(root, "package.json"), '{ "type": "module" }');
  writeFileSync(join(root, "x.test.ts"), `import { describe, test, before } from "node:test";\n${source}`);
  const { failures, result, output } = await runTestFile({ root, env: process.env }, "x.test.ts", limitMs);
  return { failures, output, tests: result.tests.map(({ title, outcome }) => `${title}: ${outcome}`) };
}

const wholeFile = (error: string) => [{ file: "x.test.ts", title: "(the file itself)", error }];

test("passed, skipped and unfinished work is told apart, and groups are no tests", async (t) => {
  const source = `
    describe("group", () => { test("a", () => {}); test.skip("b", () => {}); });
    test("c", { todo: true }, () => { throw new Error("not yet"); });`;
  const { failures, tests } = await run(t, source);
  assert.deepEqual(failures, []);
  assert.deepEqual(tests, ["a: passed", "b: skipped", "group: passed", "c: skipped"]);
});

test("a failing test is told with its group, its message and where it failed, and its output is kept", async (t) => {
  const source = `describe("group", () => { test("a", () => { console.log("seen"); throw new Error("no slot"); }); });`;
  const { failures, output } = await run(t, source);
  assert.equal(failures.length, 1);
  assert.equal(failures[0]?.title, "group > a");
  assert.match(failures[0]?.error ?? "", /^Error: no slot\n.*x\.test\.ts:2:/s);
  assert.equal(output, "seen\n");
});

test("a failing hook fails its group", async (t) => {
  const source = `describe("group", () => { before(() => { throw new Error("no room"); }); test("a", () => {}); });`;
  const { failures } = await run(t, source);
  assert.match(failures.map(({ title, error }) => `${title}: ${error}`).join("\n"), /group: .*no room/);
});

test("a test that never ends is killed at the limit and named", async (t) => {
  const { failures } = await run(
    t,
    'test("waits", () => new Promise(() => setInterval(() => {}, 1000)));',
    LIMIT_MS,
  );
  assert.deepEqual(
    failures,
    wholeFile('The file was still running after 3 s and was killed. "waits" had not ended.'),
  );
});

test("an open handle is killed at the limit and fails the file, though its tests passed", async (t) => {
  const { failures, tests } = await run(
    t,
    'test("leaks", () => { setInterval(() => {}, 1000); });',
    LIMIT_MS,
  );
  assert.match(
    failures[0]?.error ?? "",
    /killed\. Its tests had ended, but something they left behind still ran/,
  );
  assert.deepEqual(tests, ["leaks: passed", "(the file itself): failed"]);
});

test("a process that a test leaves running fails the file", {
  skip: process.platform !== "linux",
}, async (t) => {
  const source = `
    import { spawn } from "node:child_process";
    test("a", () => { spawn("sleep", ["30"], { stdio: "ignore" }).unref(); });`;
  const { failures } = await run(t, source);
  assert.match(
    failures[0]?.error ?? "",
    /^Its tests left processes running, which were killed: sleep \(\d+\)\.$/,
  );
});

test("an error that comes after its test had ended is told, with the test that caused it", async (t) => {
  const late = 'test("late", () => { setTimeout(() => { throw new Error("no slot"); }, 20); });';
  const alone = await run(t, late);
  assert.match(
    alone.failures[0]?.error ?? "",
    /^Its tests passed, but .*exit code 1\.\n.*Test "late" at .*x\.test\.ts:2:1 .*"Error: no slot"/s,
  );
  const other = await run(t, `${late}\ntest("b", () => { throw new Error("b"); });`);
  assert.deepEqual(
    other.failures.map(({ title }) => title),
    ["b"],
  );
  assert.match(other.output, /Test "late" .*"Error: no slot"/);
});

test("a process that a test starts in a group of its own is found and killed as well", {
  skip: process.platform !== "linux",
}, async (t) => {
  const source = `
    import { spawn } from "node:child_process";
    test("a", (t) => {
      const child = spawn("sleep", ["30"], { stdio: "ignore", detached: true });
      child.unref();
      console.log(child.pid);
    });`;
  const { failures, output } = await run(t, source);
  const pid = Number(output);
  assert.equal(failures[0]?.error, `Its tests left processes running, which were killed: sleep (${pid}).`);
  // A killed process may stay in the table, as Z, until its parent asks for it.
  assert.ok(!existsSync(`/proc/${pid}`) || / Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8")));
});

test("an early exit, a crash, a late failure and a file without tests have failed", async (t) => {
  const early = await run(t, 'test("a", () => {}); test("b", () => { process.exit(0); });');
  assert.match(early.failures[0]?.error ?? "", /its process ended before any result/);
  const crash = await run(t, 'test("a", () => {}); throw new Error("at import");');
  assert.match(crash.failures[0]?.error ?? "", /ended.* with exit code \d+ before all tests had a result/);
  assert.match(crash.output, /at import/);
  const late = await run(t, 'test("a", () => {}); process.on("exit", () => { process.exitCode = 3; });');
  assert.deepEqual(late.failures, wholeFile("Its tests passed, but the process ended with exit code 3."));
  const empty = await run(t, "");
  assert.deepEqual(empty.failures, wholeFile("It has no test, or its process ended before any result."));
});
