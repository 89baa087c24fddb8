// References to decisions lead somewhere: a D-number in the ledger, a document or a comment has its heading
// or row under docs/decisions/, and the pages there are short and named alike.

import { posix } from "node:path";
import { headings, tables } from "./markdown.ts";
import { isFixture, type Problem, type Tree } from "./tree.ts";

const folder = "docs/decisions/";
const pageLinesMax = 80;
const reference = /[[(](D-\d{2,3}(?:, ?D-\d{2,3})*)[\])]/g;

export function checkDecisions(tree: Tree): Problem[] {
  const known = knownDecisions(tree);
  const problems: Problem[] = [];
  for (const [path, text] of tree.files) {
    if (path.startsWith(folder)) problems.push(...pageFaults(path, text));
    const unknown = new Map<string, number>();
    for (const { id, line } of references(tree, path, text)) {
      if (!known.has(id) && !unknown.has(id)) unknown.set(id, line);
    }
    for (const [id, line] of unknown) {
      const message = `There is no decision ${id} under ${folder}; correct the number or write the page.`;
      problems.push({ path, line, message });
    }
  }
  return problems;
}

function knownDecisions(tree: Tree): Set<string> {
  const known = new Set<string>();
  for (const [path, text] of tree.files) {
    if (!path.startsWith(folder)) continue;
    const titles = headings(text).map(({ value }) => value);
    const firsts = tables(text).flatMap(({ rows }) => rows.map(({ cells }) => cells[0] ?? ""));
    for (const place of [...titles, ...firsts]) {
      if (/^\W*D-\d/.test(place)) for (const [id] of place.matchAll(/\bD-\d{2,3}\b/g)) known.add(id);
    }
  }
  return known;
}

function references(tree: Tree, path: string, text: string): { id: string; line: number }[] {
  if (isFixture(path)) return [];
  const module = tree.modules.get(path);
  if (module) {
    return module.comments.flatMap(({ value, start }) =>
      idsIn(value).map((id) => ({ id, line: module.lineAt(start) })),
    );
  }
  if (!/^(requirements|docs)\/|\.md$/.test(path)) return [];
  return text.split("\n").flatMap((line, index) => idsIn(line).map((id) => ({ id, line: index + 1 })));
}

function idsIn(text: string): string[] {
  return [...text.matchAll(reference)].flatMap((match) => (match[1] ?? "").split(/, ?/));
}

function pageFaults(path: string, text: string): Problem[] {
  const name = posix.basename(path);
  if (name === "README.md") return [];
  const problems: Problem[] = [];
  if (!/^(d-\d{2,3}-)?[a-z][a-z0-9]*(-[a-z0-9]+)*\.md$/.test(name)) {
    problems.push({
      path,
      line: 1,
      message: `The page ${name} is named unlike the others; use d-05-words.md or words.md.`,
    });
  }
  const count = text.replace(/\n$/, "").split("\n").length;
  if (count > pageLinesMax) {
    const message = `The page has ${count} lines and may have ${pageLinesMax}; keep what would surprise a reader.`;
    problems.push({ path, line: 1, message });
  }
  return problems;
}
