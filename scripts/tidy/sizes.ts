// Sizes that fit a reader's head: a file, a function, a line. What cannot be broken (an import, an address,
// a long literal) and what nobody reads (generated files) is left out.

import type { Node } from "oxc-parser";
import type { Module } from "./syntax.ts";
import { isFixture, isSource, type Problem, type Tree } from "./tree.ts";

const fileLinesMax = 400;
const functionLinesMax = 70;
const lineCharsMax = 110;
/** A line that is no longer than this without its longest literal is excused: no formatter could break it. */
const charsBesideLiteralMax = 60;

export function checkSizes(tree: Tree): Problem[] {
  const problems: Problem[] = [];
  for (const [path, text] of tree.files) {
    const lines = text.replace(/\n$/, "").split("\n");
    if (!isCounted(path) || isGenerated(lines)) continue;
    if (lines.length > fileLinesMax) {
      const message = `The file has ${lines.length} lines and may have ${fileLinesMax}; split it by what it is about.`;
      problems.push({ path, line: 1, message });
    }
    const module = tree.modules.get(path);
    const literals = module ? literalCharsByLine(module) : new Map<number, number>();
    for (const [index, line] of lines.entries()) {
      if (line.length <= lineCharsMax || isUnbreakable(line, literals.get(index + 1) ?? 0)) continue;
      const message = `The line has ${line.length} characters and may have ${lineCharsMax}; break it.`;
      problems.push({ path, line: index + 1, message });
    }
    if (module) problems.push(...longFunctions(module));
  }
  return problems;
}

function isCounted(path: string): boolean {
  if (isSource(path)) return true;
  return /\.(cjs|css|html|py|sh)$/.test(path) && !isFixture(path);
}

function isGenerated(lines: readonly string[]): boolean {
  return lines.slice(0, 3).some((line) => /^\W*(@generated\b|generated (by|from)\b)/i.test(line));
}

function isUnbreakable(line: string, literalChars: number): boolean {
  if (/https?:\/\//.test(line) || /^\s*(import|export)\b.*\bfrom "/.test(line)) return true;
  return line.length - literalChars <= charsBesideLiteralMax;
}

/** Line → the characters of its longest string, template or regular expression. */
function literalCharsByLine(module: Module): Map<number, number> {
  const longest = new Map<number, number>();
  for (const node of module.nodes) {
    if (node.type !== "Literal" && node.type !== "TemplateLiteral") continue;
    const first = module.lineAt(node.start);
    const last = module.lineAt(node.end);
    for (let line = first; line <= last; line++) {
      // Inside a template of several lines every character belongs to the text.
      const chars = first === last ? node.end - node.start : Number.POSITIVE_INFINITY;
      longest.set(line, Math.max(longest.get(line) ?? 0, chars));
    }
  }
  return longest;
}

function longFunctions(module: Module): Problem[] {
  return module.nodes.filter(isFunction).flatMap((node) => {
    const first = module.lineAt(node.start);
    const count = module.lineAt(node.end) - first + 1;
    if (count <= functionLinesMax || isDescribeCallback(node)) return [];
    const message = `The function has ${count} lines and may have ${functionLinesMax}; give its steps names.`;
    return [{ path: module.path, line: first, message }];
  });
}

function isFunction(node: Node): boolean {
  return /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type);
}

function isDescribeCallback(node: Node): boolean {
  const call = node.parent;
  return (
    call?.type === "CallExpression" && call.callee.type === "Identifier" && call.callee.name === "describe"
  );
}
