// `npm test`: every check of this repository in one run, steps and test files side by side. Paths after `--`
// narrow it down to the test files at or below them, without the steps. The last line is `N passed, N
// failed`, and the exit code is 1 when anything failed or nothing ran, 2 when the call was not understood.

import { availableParallelism } from "node:os";
import { join } from "node:path";
import { readOptions } from "./options.ts";
import { findFiles, narrow } from "./test/find.ts";
import { killAll } from "./test/program.ts";
import { closingLines, isGreen } from "./test/report.ts";
import { runAll, type Step } from "./test/run-all.ts";
import { writeSuite } from "./test/suite.ts";

const ROOT = join(import.meta.dirname, "..");
const STEPS: readonly Step[] = [
  { name: "types", command: ["tsc", "--noEmit"] },
  { name: "lint", command: ["biome", "check", "--colors=off", "."] },
  { name: "tidy", command: [process.execPath, "scripts/tidy.ts"] },
  { name: "generated", command: [process.execPath, "scripts/generate.ts", "--check"] },
  // It reads the titles that this run gave the tests.
  { name: "links", command: [process.execPath, "scripts/trace.ts", "--check"], afterTests: true },
];

process.once("exit", killAll);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));

const startedAt = new Date();
const { values: options, positionals: paths } = readOptions("npm test -- [--json FILE] [PATH ...]", {
  args: process.argv.slice(2),
  allowPositionals: true,
  options: { json: { type: "string" } },
});
const all = findFiles(ROOT, ".test.ts");
const { files, empty } = narrow(ROOT, process.cwd(), all, paths);
const { counts, failures } = await runAll({
  place: { root: ROOT, env: process.env },
  steps: paths.length === 0 ? STEPS : [],
  files: paths.length === 0 ? all : files,
  lanes: Math.max(2, availableParallelism()),
  print: (text) => console.log(text),
});
for (const path of empty) console.log(`\nThere is no test file at or below ${path}.`);
const ok = isGreen(counts) && empty.length === 0;
process.exitCode = ok ? 0 : 1;
if (options.json !== undefined) {
  writeSuite(options.json, ROOT, { suite: "tests", ok, startedAt, figures: [], counts, failures });
}
console.log(`\n${closingLines(counts).join("\n")}`);
