// `npm run trace`: which requirements have a passing test. Writes the links requirement → tests → code into
// the ledger and prints a table; `--check` only says whether the links are what it would write. Fails on a
// test that names an id the ledger does not have, in its source or in the title it last ran under.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readOptions } from "./options.ts";
import { findFiles } from "./test/find.ts";
import { digestOf, readResults } from "./test/results.ts";
import { writeSuite } from "./test/suite.ts";
import { emitArea } from "./trace/emit.ts";
import { pathOf, readLedger } from "./trace/ledger.ts";
import { findLinks, relink } from "./trace/links.ts";
import { runProblems } from "./trace/runs.ts";
import { statesOf } from "./trace/state.ts";
import { areaDetail, areaTable, countRow } from "./trace/table.ts";

const ROOT = join(import.meta.dirname, "..");
const startedAt = new Date();
const { values: options } = readOptions("npm run trace -- [--check] [--area AREA] [--json FILE]", {
  args: process.argv.slice(2),
  options: { check: { type: "boolean" }, json: { type: "string" }, area: { type: "string" } },
});

const texts = new Map(
  [".test.ts", ".conformance.ts"]
    .flatMap((ending) => findFiles(ROOT, ending))
    .map((path) => [path, readFileSync(join(ROOT, path), "utf8")]),
);
const digests = new Map([...texts].map(([path, text]) => [path, digestOf(text)]));
const read = readLedger(ROOT);
const links = findLinks(read, texts);
const areas = read.areas.map((area) => ({
  ...area,
  requirements: area.requirements.map((each) => relink(each, links)),
}));
const results = readResults(ROOT);
const states = statesOf({ areas }, links, results, digests);
const problems = [...read.problems, ...links.problems, ...runProblems(read, links, results, digests)];
// A faulty ledger or test is told first; nothing is written from it.
if (problems.length === 0) problems.push(...updateLinks());
for (const problem of problems) console.error(problem);
if (options.check) console.log(`trace: ${texts.size} test files, ${problems.length} problems`);
else if (problems.length === 0) problems.push(...show());
if (options.json !== undefined) writeJson(options.json);
process.exitCode = problems.length === 0 ? 0 : 1;

function updateLinks(): string[] {
  const outOfDate = areas
    .map(({ name, header, text: before, requirements }) => {
      return { path: pathOf(name), before, text: emitArea(header, requirements) };
    })
    .filter(({ before, text }) => before !== text);
  if (options.check) {
    return outOfDate.map(
      ({ path }) => `${path} is out of date: run \`npm run trace\` and commit what it writes.`,
    );
  }
  for (const { path, text } of outOfDate) writeFileSync(join(ROOT, path), text);
  return [];
}

function show(): string[] {
  const { area: name } = options;
  const area = areas.find((each) => each.name === name);
  if (name !== undefined && !area) {
    const problem = `The ledger has no area ${name}; it has ${areas.map((each) => each.name).join(", ")}.`;
    console.error(problem);
    return [problem];
  }
  console.log(area ? areaDetail(area, states) : areaTable(areas, states));
  if (results.size === 0) console.log("\nno test results yet: run npm test first");
  const stale = [...states.values()].filter((state) => state === "stale").length;
  if (stale > 0)
    console.log(`\n${stale} stale, since their tests changed after the last run: run npm test again`);
  return [];
}

function writeJson(path: string): void {
  const row = countRow(areas, states);
  const { must: goal, "must passing": value } = row;
  writeSuite(path, ROOT, {
    suite: "trace",
    ok: problems.length === 0,
    startedAt,
    figures: [{ name: "must with a passing test", value, unit: "ids", goal, met: value === goal }],
    counts: row,
    failures: problems,
  });
}
