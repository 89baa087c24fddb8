import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { exits } from "./exits.ts";
import { mutants } from "./mutants.ts";

interface Run {
  readonly status: number | string | null | undefined;
  readonly output: string;
}

function run(name: string): Promise<Run> {
  const file = `${import.meta.dirname}/run.ts`;
  const { promise, resolve } = Promise.withResolvers<Run>();
  execFile(process.execPath, [file, name], { env: {} }, (error, stdout, stderr) => {
    resolve({ status: error === null ? 0 : error.code, output: `${stdout}${stderr}` });
  });
  return promise;
}

test("every way to break the core is noticed, and a core that is whole is not", {
  concurrency: 2,
}, async (t) => {
  t.test("nothing broken", async () => {
    const { status, output } = await run("none");
    assert.equal(status, exits.survived, output.slice(0, 400));
  });
  for (const [index, { breaks, file, noticedBy }] of mutants.entries()) {
    t.test(`${file} broken: ${breaks}`, async () => {
      const { status, output } = await run(String(index));
      const expected = noticedBy === undefined ? exits.noticed : exits.testFailed;
      assert.equal(status, expected, `mutant ${index}: ${output.slice(0, 400)}`);
    });
  }
});
