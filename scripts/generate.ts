// `npm run generate`: writes every file that comes from a table of the contract. With `--check` it writes
// nothing and fails when a file differs, which is how the test run notices a table that changed without its
// documents.

import { join } from "node:path";
import { generatedFiles, staleFiles, writeFiles } from "./generate/files.ts";
import { readOptions } from "./options.ts";

const root = join(import.meta.dirname, "..");
const { values: options } = readOptions("npm run generate -- [--check]", {
  args: process.argv.slice(2),
  options: { check: { type: "boolean" } },
});
const stale = await staleFiles(root);
const paths = stale.map(({ path }) => path).join(", ");

if (stale.length === 0) {
  console.log(`${generatedFiles.length} generated files are current.`);
} else if (options.check) {
  console.error(`${paths}: not what the tables in contract/ say. Run npm run generate and look at the diff.`);
  process.exitCode = 1;
} else {
  await writeFiles(root, stale);
  console.log(`Wrote ${paths}.`);
}
