import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { mutants } from "./mutants.ts";

interface Run {
  readonly status: number | string | null | undefined;
  readonly output: string;
}

function run(index: number): Promise<Run> {
  const file = `${import.meta.dirname}/run.ts`;
  const { promise, resolve } = Promise.withResolvers<Run>();
  execFile(process.execPath, [file, String(index)], { env: {} }, (error, stdout, stderr) => {
    resolve({ status: error === null ? 0 : error.code, output: `${stdout}${stderr}` });
  });
  return promise;
}

test("every way to break the core is noticed", { concurrency: 2 }, async (t) => {
  for (const [index, { breaks, file }] of mutants.entries()) {
    t.test(`${file} broken: ${breaks}`, async () => {
      const { status, output } = await run(index);
      assert.equal(status, 1, `mutant ${index} survived or could not be made: ${output.slice(0, 400)}`);
    });
  }
});
