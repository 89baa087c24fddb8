// Requirement → tests → code, found in the sources: a test file proves the ids in its titles and covers the
// files of its own workspace that it imports. A conformance suite is part of every test file that imports
// it. Runs nothing, writes nothing.

import { posix } from "node:path";
import type { Ledger, Requirement } from "./ledger.ts";
import { nameReader } from "./names.ts";
import { readTestSource, type TestSource, type Title, textOf } from "./titles.ts";

/** The proofs of one id: the titles that name it, by test file. */
export type Proofs = Map<string, Title[]>;
export type Links = { proofs: Map<string, Proofs>; code: Map<string, string[]>; problems: string[] };

/** @param sources every test and conformance file: path from the root → text */
export function findLinks(ledger: Pick<Ledger, "areas">, sources: ReadonlyMap<string, string>): Links {
  const namesIn = nameReader(ledger);
  const links: Links = { proofs: new Map(), code: new Map(), problems: [] };
  const read = new Map<string, TestSource>();
  for (const [path, text] of sources) {
    const source = readTestSource(path, text);
    read.set(path, source);
    if (source.problem !== undefined) links.problems.push(source.problem);
    for (const title of source.titles.map(textOf)) {
      const problems = namesIn(title).problems.map((problem) => `${path}: the test "${title}" ${problem}`);
      links.problems.push(...problems);
    }
  }
  for (const path of [...read.keys()].filter(isTestFile)) {
    const parts = [path, ...importsOf(path, read).filter(isConformance)];
    const covered = parts.flatMap((part) => importsOf(part, read)).filter((file) => isCodeOf(path, file));
    links.code.set(path, covered);
    for (const title of parts.flatMap((part) => read.get(part)?.titles ?? [])) {
      for (const id of namesIn(textOf(title)).ids) addProof(links.proofs, id, path, title);
    }
  }
  return links;
}

/** The requirement with the links it has now, and none of those it had. */
export function relink(
  { tests: _tests, code: _code, ...requirement }: Requirement,
  links: Links,
): Requirement {
  const tests = [...(links.proofs.get(requirement.id)?.keys() ?? [])].sort();
  const code = [...new Set(tests.flatMap((path) => links.code.get(path) ?? []))].sort();
  return { ...requirement, ...(tests.length > 0 && { tests }), ...(code.length > 0 && { code }) };
}

export function isTestFile(path: string): boolean {
  return path.endsWith(".test.ts");
}

export function isConformance(path: string): boolean {
  return path.endsWith(".conformance.ts");
}

function addProof(all: Map<string, Proofs>, id: string, path: string, title: Title): void {
  const proofs = all.get(id) ?? new Map<string, Title[]>();
  all.set(id, proofs.set(path, [...(proofs.get(path) ?? []), title]));
}

/** Relative imports as paths from the root. */
function importsOf(path: string, read: ReadonlyMap<string, TestSource>): string[] {
  const relative = (read.get(path)?.imports ?? []).filter((specifier) => specifier.startsWith("."));
  return relative.map((specifier) => posix.join(posix.dirname(path), specifier));
}

function isCodeOf(testPath: string, path: string): boolean {
  const [workspace] = testPath.split("/");
  return path.startsWith(`${workspace}/`) && !isTestFile(path) && !isConformance(path);
}
