// The one list of rules, and what running them means: each over the whole tree, then the exceptions that
// files carry.

import { checkArrows } from "./arrows.ts";
import { checkCycles } from "./cycles.ts";
import { checkDead, checkDoors, checkTestScripts, checkTestsExist } from "./dead.ts";
import { checkDecisions } from "./decisions.ts";
import { checkDependencies, checkLock } from "./dependencies.ts";
import { checkEnvironment } from "./environment.ts";
import { excuse } from "./exceptions.ts";
import { checkParses, checkSwallowed, checkSwitchedOff, checkTestsRun } from "./habits.ts";
import { checkExports, checkHeaders } from "./layout.ts";
import { checkMap } from "./map.ts";
import { checkProse } from "./prose.ts";
import { checkPure } from "./pure.ts";
import { checkSizes } from "./sizes.ts";
import type { Problem, Tree } from "./tree.ts";
import { checkVocabulary } from "./vocabulary.ts";

/** A firm rule holds up the house; no file can except itself from it. */
export type Rule = { name: string; reason: string; firm?: true; check: (tree: Tree) => Problem[] };
export type NamedProblem = Problem & { rule: string };

export const rules: readonly Rule[] = [
  {
    name: "parses",
    reason: "a file that does not parse blinds every other rule",
    firm: true,
    check: checkParses,
  },
  {
    name: "arrows",
    reason: "a room can be understood by the rooms it may import",
    firm: true,
    check: checkArrows,
  },
  { name: "cycles", reason: "two files that import each other are one", firm: true, check: checkCycles },
  { name: "pure", reason: "only what is pure replays to the same decisions", firm: true, check: checkPure },
  { name: "environment", reason: "one page tells what a program listens to", check: checkEnvironment },
  { name: "sizes", reason: "a file, a function and a line fit a reader's head", check: checkSizes },
  { name: "header", reason: "a file says first what it owns", check: checkHeaders },
  { name: "exports", reason: "a name is the same wherever it is imported", check: checkExports },
  { name: "dead", reason: "what nobody reaches is maintained for nothing", check: checkDead },
  { name: "doors", reason: "what a package names can be entered", check: checkDoors },
  { name: "tested", reason: "a workspace keeps its own tests", check: checkTestsExist },
  { name: "test-scripts", reason: "npm test means the same in each workspace", check: checkTestScripts },
  { name: "vocabulary", reason: "one word per concept", check: checkVocabulary },
  { name: "prose", reason: "comments and documents say why, and nothing else", check: checkProse },
  { name: "swallowed", reason: "an error that vanishes is found by a client", check: checkSwallowed },
  { name: "switched-off", reason: "a check is switched off only with a reason", check: checkSwitchedOff },
  { name: "tests-run", reason: "a test that does not run promises nothing", check: checkTestsRun },
  { name: "map", reason: "a document that names a file is right about it", check: checkMap },
  { name: "dependencies", reason: "each one costs, so each one is accounted for", check: checkDependencies },
  { name: "lock", reason: "an install gives the same bytes from any mirror", check: checkLock },
  { name: "decisions", reason: "a reference leads to its decision", check: checkDecisions },
];

export function checkAll(tree: Tree): NamedProblem[] {
  const problems = rules.flatMap((rule) =>
    rule.check(tree).map((problem) => ({ ...problem, rule: rule.name })),
  );
  const excusable = new Set(rules.filter((rule) => !rule.firm).map((rule) => rule.name));
  return excuse(tree, problems, excusable).sort(byPlace);
}

function byPlace(a: NamedProblem, b: NamedProblem): number {
  if (a.path !== b.path) return a.path < b.path ? -1 : 1;
  return a.line - b.line;
}
