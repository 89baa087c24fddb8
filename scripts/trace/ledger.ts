// The ledger of requirements as it stands in requirements/<area>.yaml: its shape, how it is read and
// checked. A file that says something the ledger has no word for is a problem, since writing the links back
// would lose it.

import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { LineCounter, parseDocument, visit } from "yaml";

export const LEVELS = ["must", "should", "may", "dropped"] as const;
export const PROOFS = [
  "unit",
  "property",
  "schema",
  "contract",
  "integration",
  "bdd",
  "determinism",
  "metrics-lint",
  "load",
  "chaos",
] as const;

export type Requirement = {
  id: string;
  level: (typeof LEVELS)[number];
  proof: (typeof PROOFS)[number];
  /** Only a dropped one has it: why it is not built. */
  reason?: string;
  says: string;
  /** Written by `npm run trace` alone. */
  tests?: string[];
  code?: string[];
};

export type Area = { name: string; header: string; text: string; requirements: Requirement[] };
export type Ledger = { areas: Area[]; problems: string[] };

export const LEDGER_DIR = "requirements";

export function readLedger(root: string): Ledger {
  const files = readdirSync(join(root, LEDGER_DIR)).filter((name) => name.endsWith(".yaml"));
  return parseLedger(
    files.sort().map((name) => [basename(name, ".yaml"), readFileSync(join(root, LEDGER_DIR, name), "utf8")]),
  );
}

export function parseLedger(files: readonly (readonly [area: string, text: string])[]): Ledger {
  const problems: string[] = [];
  const areas = files.map(([name, text]) => parseArea(name, text, problems));
  const firstFile = new Map<string, string>();
  for (const { name, requirements } of areas) {
    for (const { id } of requirements) {
      const other = firstFile.get(id);
      if (other !== undefined) problems.push(`${pathOf(name)}: ${id} stands in ${pathOf(other)} as well.`);
      firstFile.set(id, name);
    }
  }
  return { areas, problems };
}

export function pathOf(area: string): string {
  return `${LEDGER_DIR}/${area}.yaml`;
}

function parseArea(name: string, text: string, problems: string[]): Area {
  const lines = new LineCounter();
  const header = text.slice(0, text.indexOf("\n") + 1);
  const body = parseDocument(text.slice(header.length), { lineCounter: lines });
  const at = (offset: number) => `${pathOf(name)}:${lines.linePos(offset).line + 1}`;
  const area = { name, header, text, requirements: [] as Requirement[] };
  if (!header.startsWith("# ")) problems.push(`${pathOf(name)}:1: the first line must be a comment.`);
  if (body.errors.length > 0) {
    for (const error of body.errors) problems.push(`${at(error.pos[0])}: ${error.message}`);
    return area;
  }
  visit(body, {
    Node: (_, node) => {
      if (!node.comment && !node.commentBefore) return;
      problems.push(
        `${at(node.range?.[0] ?? 0)}: a comment here would be lost; say it in a field or in the first line.`,
      );
    },
  });
  const entries: unknown = body.toJS();
  if (!Array.isArray(entries)) {
    problems.push(`${pathOf(name)}: a list of requirements is expected.`);
    return area;
  }
  for (const [index, entry] of entries.entries()) {
    const found = problemsOf(entry);
    const label = entry?.id ?? `entry ${index + 1}`;
    problems.push(...found.map((problem) => `${pathOf(name)}: ${label}: ${problem}`));
    if (found.length === 0) area.requirements.push(entry);
  }
  return area;
}

function problemsOf(entry: unknown): string[] {
  if (typeof entry !== "object" || entry === null)
    return ["a mapping with id, level, proof and says is expected."];
  const {
    id,
    level,
    proof,
    says,
    reason,
    tests = [],
    code = [],
    ...others
  } = entry as Record<string, unknown>;
  const problems = Object.keys(others).map((field) => `the ledger has no field ${field}.`);
  if (typeof id !== "string" || !/^[A-Z]+(-[A-Z0-9]+)+[a-z]?$/.test(id))
    problems.push("id must look like ORCH-3026.");
  if (!isOneOf(level, LEVELS)) problems.push(`level must be one of ${LEVELS.join(", ")}.`);
  if (!isOneOf(proof, PROOFS)) problems.push(`proof must be one of ${PROOFS.join(", ")}.`);
  if (!isSentence(says)) problems.push("says must be one paragraph with single spaces.");
  if (level === "dropped" && !isSentence(reason)) problems.push("a dropped requirement needs a reason.");
  if (level !== "dropped" && reason !== undefined) problems.push("only a dropped requirement has a reason.");
  if (!isTextList(tests) || !isTextList(code)) problems.push("tests and code must be lists of paths.");
  return problems;
}

function isOneOf(value: unknown, words: readonly string[]): boolean {
  return typeof value === "string" && words.includes(value);
}

/** What folded text can hold without change. */
function isSentence(value: unknown): boolean {
  return typeof value === "string" && /^\S+( \S+)*$/.test(value);
}

function isTextList(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
