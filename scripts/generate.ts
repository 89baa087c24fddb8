// `npm run generate`: writes every file that comes from a table of the contract. With `--check` it writes
// nothing and fails when a file differs, which is how the test run notices a table that changed without its
// documents.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { generatedFiles } from "./generate/files.ts";

const root = join(import.meta.dirname, "..");
const check = process.argv.includes("--check");
const stale: string[] = [];

for (const { path, render } of generatedFiles) {
  const file = join(root, path);
  const before = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  const after = render(before);
  if (after === before) continue;
  stale.push(path);
  if (!check) await writeFile(file, after);
}

if (check && stale.length > 0) {
  console.error(
    `${stale.join(", ")}: not what the tables in contract/ say. Run npm run generate and look at the diff.`,
  );
  process.exitCode = 1;
} else {
  console.log(
    stale.length === 0
      ? `${generatedFiles.length} generated files are current.`
      : `Wrote ${stale.join(", ")}.`,
  );
}
