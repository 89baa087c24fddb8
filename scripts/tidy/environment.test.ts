import assert from "node:assert/strict";
import { test } from "node:test";
import { checkEnvironment } from "./environment.ts";
import { makeTree } from "./tree.ts";

test("the environment is read in config.ts and nowhere else in a workspace", () => {
  const tree = makeTree({
    "sdk/config.ts": "process.env; process.argv;",
    "sdk/client.ts": "const key =\n  process.env.KEY;",
    "sdk/a.ts": "const { argv } = process;",
    "sdk/b.ts": 'import { env } from "node:process";',
    "sdk/c.ts": 'process["env"];',
    "sdk/a.test.ts": "process.env;",
  });
  assert.deepEqual(checkEnvironment(tree), [
    {
      path: "sdk/client.ts",
      line: 2,
      message: "process.env is read here; read it in sdk/config.ts and pass the value in.",
    },
    {
      path: "sdk/a.ts",
      line: 1,
      message: "process.argv is read here; read it in sdk/config.ts and pass the value in.",
    },
    {
      path: "sdk/b.ts",
      line: 1,
      message: "process.env is read here; read it in sdk/config.ts and pass the value in.",
    },
    {
      path: "sdk/c.ts",
      line: 1,
      message: "process.env is read here; read it in sdk/config.ts and pass the value in.",
    },
  ]);
});

test("main.ts may read it where there is no config.ts that does", () => {
  assert.deepEqual(checkEnvironment(makeTree({ "cli/main.ts": "process.argv;" })), []);
  const two = makeTree({ "cli/main.ts": "process.argv;", "cli/config.ts": "process.env;" });
  assert.deepEqual(checkEnvironment(two), [
    {
      path: "cli/main.ts",
      line: 1,
      message:
        "process.argv is read here; cli/config.ts already reads it, and one place is enough; move this there.",
    },
  ]);
});

test("of the scripts only the command itself reads it", () => {
  const tree = makeTree({
    "package.json": '{ "scripts": { "trace": "node scripts/trace.ts" } }',
    "scripts/trace.ts": "process.argv;",
    "scripts/trace/ledger.ts": "process.argv;",
  });
  assert.deepEqual(checkEnvironment(tree), [
    {
      path: "scripts/trace/ledger.ts",
      line: 1,
      message:
        "process.argv is read here; only the file that a package.json script names reads it; pass the value in.",
    },
  ]);
});

test("of the harness, too, only a command reads it, and what it starts as a process of its own", () => {
  const tree = makeTree({
    "package.json": '{ "scripts": { "sim": "node --expose-gc harness/sim.ts --seeds 100" } }',
    "harness/package.json": '{ "scripts": { "bench": "node bench/main.ts" } }',
    "harness/sim.ts": "process.argv;",
    "harness/bench/main.ts": "process.env;",
    "harness/bench/core.ts": 'import "../sim/world.ts"; const file = import.meta.resolve("./case.ts");',
    "harness/bench/case.ts": "process.argv;",
    "harness/sim/world.ts": "process.env;",
    "harness/sim/world.test.ts": "process.env;",
  });
  assert.deepEqual(
    checkEnvironment(tree).map(({ path }) => path),
    ["harness/sim/world.ts"],
  );
});

test("a property called env, and the rest of process, stay silent", () => {
  assert.deepEqual(
    checkEnvironment(makeTree({ "sdk/a.ts": "options.env; row.process.env; process.pid;" })),
    [],
  );
});
