// What comments and documents must not hold: promises without an issue, code that was switched off, licence
// headers, emoji, and the paths of somebody's own machine.

import { parseSync } from "oxc-parser";
import type { Module } from "./syntax.ts";
import { isFixture, type Problem, type Tree } from "./tree.ts";

const promise = /^[\s*#/<!-]*(TODO|FIXME|XXX)\b(?!\s*\(#\d+\))|\b(TODO|FIXME|XXX)(\([^#)]*\))?:/;
const emoji = /\p{Emoji_Presentation}|\u{FE0F}/u;
// A word before the slash means the middle of an address or of a longer path.
const machinePath = /(?<![\w.$}>~-])\/(root|home\/[a-z_][\w-]*|Users\/[A-Za-z]\w*)\//;
const licence = /\b(Copyright|SPDX-License-Identifier|Licensed under)\b/;

export function checkProse(tree: Tree): Problem[] {
  const problems: Problem[] = [];
  for (const [path, text] of tree.files) {
    if (isFixture(path) || path === "LICENSE" || path === "package-lock.json") continue;
    const module = tree.modules.get(path);
    const report = (line: number, message: string) => problems.push({ path, line, message });
    for (const [index, line] of text.split("\n").entries()) {
      if (emoji.test(line))
        report(index + 1, "The line holds an emoji; say it in words, or escape it where a test needs it.");
      const [found] = machinePath.exec(line) ?? [];
      if (found) report(index + 1, `The line names a path of one machine (${found}); use a relative one.`);
      if (!module && promise.test(line)) report(index + 1, unkept);
    }
    if (module) checkComments(module, report);
  }
  return problems;
}

const unkept = "A promise without an issue is forgotten; open one and name it: (#12).";

function checkComments(module: Module, report: (line: number, message: string) => void): void {
  for (const comment of module.comments) {
    const first = module.lineAt(comment.start);
    for (const [index, line] of comment.value.split("\n").entries()) {
      if (promise.test(line)) report(first + index, unkept);
      if (licence.test(line))
        report(first + index, "The licence stands once, in LICENSE; delete this header.");
    }
    if (comment.type === "Line" && isCode(comment.value)) {
      report(first, "This comment is code that was switched off; delete it, git remembers it.");
    }
  }
}

/** Only a whole statement with its semicolon counts; an indented line is an example and stays. */
function isCode(text: string): boolean {
  if (!/^ {0,2}\S.*;\s*$/.test(text)) return false;
  const candidates = [text, `async function f() { ${text} }`];
  return candidates.some((source) => {
    const { program, errors } = parseSync("comment.ts", source, { preserveParens: false });
    if (errors.length > 0) return false;
    const [first] = program.body;
    const [statement] =
      first?.type === "FunctionDeclaration" && first.id?.name === "f" ? (first.body?.body ?? []) : [first];
    if (!statement || statement.type === "EmptyStatement" || statement.type === "LabeledStatement")
      return false;
    if (statement.type !== "ExpressionStatement") return true;
    return /^(Call|Assignment|Await|Update|New)Expression$/.test(statement.expression.type);
  });
}
