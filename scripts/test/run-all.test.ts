import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { findFiles, narrow } from "./find.ts";
import { closingLines, isGreen } from "./report.ts";
import { readResults } from "./results.ts";
import { runAll, type Step } from "./run-all.ts";

const passing = (title: string) => `import { test } from "node:test"; test("${title}", () => {});`;
const failing = (title: string) =>
  `import { test } from "node:test"; test("${title}", () => { throw new Error("no"); });`;
/** A group with two tests, of which the second is skipped. */
const grouped = (first: string, second: string) =>
  `import { describe, test } from "node:test";
   describe("both", () => { test("${first}", () => {}); test.skip("${second}", () => {}); });`;

function treeOf(t: TestContext, files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), "llama-orch-suite-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries({ "package.json": '{ "type": "module" }', ...files })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

async function run(root: string, steps: readonly Step[], files: readonly string[]) {
  const printed: string[] = [];
  const place = { root, env: process.env };
  const ended = await runAll({ place, steps, files, lanes: 2, print: (text) => printed.push(text) });
  return { ...ended, text: printed.join("\n") };
}

test("every test file outside of node_modules and hidden folders is found", (t) => {
  const names = ["core/queue/a.test.ts", "core/b.test.ts", "core/c.ts", "cli/d.test.ts"];
  const hidden = ["node_modules/x/e.test.ts", "core/node_modules/f.test.ts", ".results/g.test.ts"];
  const root = treeOf(t, Object.fromEntries([...names, ...hidden].map((path) => [path, ""])));
  assert.deepEqual(findFiles(root, ".test.ts"), ["cli/d.test.ts", "core/b.test.ts", "core/queue/a.test.ts"]);
});

test("paths narrow a run down to the files at or below them, from where they were typed", () => {
  const files = ["core/queue.test.ts", "core/queue/a.test.ts", "core/queues/b.test.ts"];
  assert.deepEqual(narrow("/r", "/r", files, ["core/queue"]), { files: ["core/queue/a.test.ts"], empty: [] });
  assert.deepEqual(narrow("/r", "/r/core", files, ["./queue.test.ts"]).files, ["core/queue.test.ts"]);
  assert.deepEqual(narrow("/r", "/r/core", files, ["."]).files, files);
  assert.deepEqual(narrow("/r", "/r", files, ["core", "cor"]), { files, empty: ["cor"] });
});

test("steps and tests count alike, and each failure is printed with file, title and error", async (t) => {
  const root = treeOf(t, { "core/a.test.ts": grouped("a", "c"), "cli/b.test.ts": failing("b") });
  const steps: Step[] = [
    { name: "types", command: [process.execPath, "-e", "0"] },
    { name: "lint", command: [process.execPath, "-e", "console.log('line 7 is bad'); process.exit(1)"] },
    { name: "links", command: ["no-such-program"] },
  ];
  const { counts, failures, text } = await run(root, steps, ["core/a.test.ts", "cli/b.test.ts"]);
  assert.deepEqual(counts, { passed: 2, failed: 3, skipped: 1 });
  const failed = failures.map(({ file, title }) => `${title} ${file}`).sort();
  assert.deepEqual(failed, ["b cli/b.test.ts", "links undefined", "lint undefined"]);
  assert.match(text, /^types +passed, /m);
  assert.match(text, /^core +1 passed, 0 failed, 1 skipped in 1 file, /m);
  assert.match(text, /FAILED lint\n +line 7 is bad/);
  assert.match(text, /FAILED links\n.*ENOENT/);
  assert.match(text, /FAILED cli\/b\.test\.ts: b\n +Error: no\n/);
});

test("a narrowed run keeps the results of the files it did not run and forgets those that are gone", async (t) => {
  const root = treeOf(t, { "a.test.ts": passing("a"), "b.test.ts": passing("b"), "c.test.ts": passing("c") });
  await run(root, [], findFiles(root, ".test.ts"));
  writeFileSync(join(root, "b.test.ts"), failing("b"));
  rmSync(join(root, "c.test.ts"));
  await run(root, [], ["b.test.ts"]);
  assert.deepEqual(
    [...readResults(root)].map(([path, { tests }]) => [path, tests[0]?.outcome]),
    [
      ["a.test.ts", "passed"],
      ["b.test.ts", "failed"],
    ],
  );
});

test("the last line says passed and failed and no more; what was skipped stands before it", () => {
  assert.deepEqual(closingLines({ passed: 3, failed: 0, skipped: 0 }), ["3 passed, 0 failed"]);
  assert.deepEqual(closingLines({ passed: 3, failed: 1, skipped: 2 }), ["2 skipped", "3 passed, 1 failed"]);
});

test("a step that judges the results runs when those of this run are kept", async (t) => {
  const root = treeOf(t, { "a.test.ts": passing("a") });
  const look = `require("node:fs").readFileSync(".results/tests.json", "utf8").includes('"a"') || process.exit(1)`;
  const command = [process.execPath, "--input-type=commonjs", "-e", look] as const;
  const { counts } = await run(root, [{ name: "links", command, afterTests: true }], ["a.test.ts"]);
  assert.deepEqual(counts, { passed: 2, failed: 0, skipped: 0 });
});

test("broken results count as none, and the next run writes them anew", async (t) => {
  const root = treeOf(t, { "a.test.ts": passing("a") });
  mkdirSync(join(root, ".results"));
  for (const broken of [
    '{"format": 1, "files": {"a',
    "null",
    "[]",
    '{"format": 1}',
    '{"format":1,"files":{"a":7}}',
  ]) {
    writeFileSync(join(root, ".results", "tests.json"), broken);
    assert.deepEqual([...readResults(root)], [], broken);
  }
  await run(root, [], ["a.test.ts"]);
  assert.deepEqual([...readResults(root).keys()], ["a.test.ts"]);
});

test("a run in which nothing ran, or only skipped tests, is not green", () => {
  assert.ok(isGreen({ passed: 1, failed: 0, skipped: 1 }));
  assert.ok(!isGreen({ passed: 0, failed: 0, skipped: 1 }));
  assert.ok(!isGreen({ passed: 9, failed: 1, skipped: 0 }));
});
