import assert from "node:assert/strict";
import { test } from "node:test";
import { checkDead, checkDoors, checkTestScripts, checkTestsExist } from "./dead.ts";
import { makeTree } from "./tree.ts";

function dead(files: Record<string, string>): string[] {
  return checkDead(makeTree(files)).map(({ path, message }) => `${path} ${message}`);
}

test("a file that no door leads to is dead, even when a test imports it", () => {
  assert.deepEqual(dead({ "core/a.ts": "", "core/a.test.ts": 'import "./a.ts";' }), [
    "core/a.ts No door leads to this file (exports, bin, main.ts, a package.json script); import it or delete it.",
  ]);
});

test("every kind of door keeps what lies behind it alive", () => {
  const files = {
    "package.json": '{ "scripts": { "tidy": "node scripts/tidy.ts", "setup": "node scripts/setup.js" } }',
    "scripts/tidy.ts": 'import "./tidy/tree.ts";',
    "scripts/tidy/tree.ts": "",
    "scripts/setup.js": "",
    "core/package.json": '{ "exports": { "./x": "./x.ts" } }',
    "core/x.ts": 'import type { Y } from "./y.ts";',
    "core/y.ts": "",
    "cli/package.json": '{ "bin": { "llorch": "./llorch.ts" } }',
    "cli/llorch.ts": 'import "@llama-orch/core/x";',
    "dashboard/vite.config.ts": "",
    "orchestratord/main.ts": 'new Worker(new URL("./store/writer.ts", import.meta.url));',
    "orchestratord/store/writer.ts": 'spawn(import.meta.resolve("../embedded.ts"));',
    "orchestratord/embedded.ts": "",
  };
  assert.deepEqual(dead(files), []);
  assert.equal(dead({ ...files, "orchestratord/main.ts": "" }).length, 2);
});

test("test support lives by its tests, and so does the harness", () => {
  const files = {
    "core/queue/queue.conformance.ts": 'import "../fixtures/day.ts";',
    "core/fixtures/day.ts": "",
    "core/queue/fifo.test.ts": 'import "./queue.conformance.ts";',
    "harness/sim/clock.ts": "",
    "harness/sim/sim.test.ts": 'import "./clock.ts";',
  };
  assert.deepEqual(dead(files), []);
  assert.deepEqual(dead({ "core/fixtures/day.ts": "" }), [
    "core/fixtures/day.ts No test imports this file; use it or delete it.",
  ]);
});

test("a command of the harness keeps alive what it uses, the scripts too, and what nobody uses is dead", () => {
  const files = {
    "package.json": '{ "scripts": { "sim": "node harness/sim.ts" } }',
    "scripts/suite.ts": "",
    "harness/sim.ts": 'import "./sim/clock.ts"; import "../scripts/suite.ts"; spawn("./engine.ts");',
    "harness/sim/clock.ts": `start(\`\${import.meta.dirname}/case.ts\`);`,
    "harness/sim/case.ts": "",
    "harness/engine.ts": "",
  };
  assert.deepEqual(dead(files), []);
  assert.deepEqual(dead({ ...files, "harness/chaos.ts": "" }), [
    "harness/chaos.ts No command and no test of the harness uses this file; use it or delete it.",
  ]);
});

test("a door leads to a file", () => {
  const tree = makeTree({
    "core/package.json": '{ "exports": { ".": "./a.ts", "./b": "./b.ts" } }',
    "core/a.ts": "",
  });
  assert.deepEqual(checkDoors(tree), [
    {
      path: "core/package.json",
      line: 1,
      message: 'The door "./b" leads to no file (./b.ts); correct it or delete it.',
    },
  ]);
});

test("npm test in a workspace sets up and runs its tests, and fails when it has none", () => {
  const root = '{ "workspaces": ["core", "harness"] }';
  const good =
    '{ "scripts": { "pretest": "node ../scripts/setup.js", "test": "node ../scripts/test.ts ." }, "name": "a" }';
  const told = (core: string) => {
    const files = { "package.json": root, "core/package.json": core, "harness/package.json": good };
    return checkTestScripts(makeTree(files)).map(({ path, message }) => `${path} ${message}`);
  };
  assert.deepEqual(told(good), []);
  assert.deepEqual(told('{ "scripts": { "test": "node --test" } }'), [
    'core/package.json The script pretest must be "node ../scripts/setup.js", so that npm test -w core works ' +
      "in a fresh clone and is green only when tests ran.",
    'core/package.json The script test must be "node ../scripts/test.ts .", so that npm test -w core works ' +
      "in a fresh clone and is green only when tests ran.",
  ]);
  assert.equal(told("{}").length, 2);
});

test("a workspace with source files has a test of its own, the harness too [ORCH-3200]", () => {
  assert.deepEqual(
    checkTestsExist(makeTree({ "core/a.ts": "", "core/queue/b.ts": "", "sdk/a.test.ts": "" })),
    [
      {
        path: "core/a.ts",
        line: 1,
        message: "core/ has source files and no test; put x.test.ts beside the file that promises something.",
      },
    ],
  );
  assert.deepEqual(checkTestsExist(makeTree({ "sdk/a.ts": "", "sdk/b/b.test.ts": "" })), []);
  assert.equal(checkTestsExist(makeTree({ "harness/sim.ts": "" }))[0]?.path, "harness/sim.ts");
  assert.deepEqual(checkTestsExist(makeTree({ "harness/sim.ts": "", "harness/sim/sim.test.ts": "" })), []);
});
