import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

function run(command: string, ...args: string[]) {
  const script = join(import.meta.dirname, `${command}.ts`);
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });
  return { status, stdout, stderr };
}

const calls = {
  test: "npm test -- [--json FILE] [PATH ...]",
  trace: "npm run trace -- [--check] [--area AREA] [--json FILE]",
  generate: "npm run generate -- [--check]",
  tidy: "npm run tidy -- [--rules]",
  config: "npm run config -- [FILE] [--mode strict|compat] [--json]",
};

for (const [command, usage] of Object.entries(calls)) {
  test(`a mistyped option of ${command} is one sentence with exit code 2, and nothing runs`, () => {
    assert.deepEqual(run(command, "--jsn"), {
      status: 2,
      stdout: "",
      stderr: `Unknown option '--jsn': the call is ${usage}.\n`,
    });
  });
}

test("a folder without a test is not green, so npm test in a workspace cannot pass on nothing", () => {
  const { status, stdout } = run("test", join(import.meta.dirname, "trace/nothing-here"));
  assert.equal(status, 1);
  assert.match(stdout, /There is no test file at or below .*nothing-here\.\n\n0 passed, 0 failed\n$/);
});

test("a value too few and a word too many are told the same way", () => {
  const usage = `the call is ${calls.trace}.\n`;
  assert.equal(run("trace", "--json").stderr, `Option '--json <value>' argument missing: ${usage}`);
  assert.equal(run("trace", "--json", "--check").stderr, `Option '--json' argument is ambiguous: ${usage}`);
  assert.equal(run("trace", "--check=1").stderr, `Option '--check' does not take an argument: ${usage}`);
  assert.equal(run("trace", "core").stderr, `Unexpected argument 'core': ${usage}`);
});
