// `npm run tidy`: the house style as a program. Reads the tree, applies every rule, prints each problem with
// its place and what to do, and ends with 1 if there is any. `-- --rules` prints the rules instead.

import { join } from "node:path";
import { readOptions } from "./options.ts";
import { checkAll, rules } from "./tidy/rules.ts";
import { readTree } from "./tidy/tree.ts";

const { values: options } = readOptions("npm run tidy -- [--rules]", {
  args: process.argv.slice(2),
  options: { rules: { type: "boolean" } },
});
if (options.rules) {
  console.log("A file may break a rule that is not firm, in one line: // tidy: <rule>: <reason>\n");
  for (const { name, reason, firm } of rules)
    console.log(`${name.padEnd(13)} ${reason}${firm ? " (firm)" : ""}`);
} else {
  const tree = readTree(join(import.meta.dirname, ".."));
  const problems = checkAll(tree);
  for (const { path, line, rule, message } of problems) console.log(`${path}:${line} ${rule}: ${message}`);
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  console.log(problems.length === 0 ? `tidy: ${tree.files.size} files, no problem` : `\ntidy: ${count}`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
