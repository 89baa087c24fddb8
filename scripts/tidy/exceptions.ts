// A file may break a rule when one line of it says which and why: `// tidy: sizes: the table is read as a
// whole`. An exception without a reason, for a firm rule, or that nothing needs is a problem itself.

import type { Module } from "./syntax.ts";
import type { Problem, Tree } from "./tree.ts";

type Named = Problem & { rule: string };
type Exception = { path: string; line: number; rule: string; reason: string };

export function excuse(tree: Tree, problems: Named[], excusable: ReadonlySet<string>): Named[] {
  const exceptions = [...tree.modules.values()].flatMap(exceptionsOf);
  const good = exceptions.filter(({ rule, reason }) => excusable.has(rule) && reason.length >= 10);
  const excused = (problem: Named) =>
    good.some(({ path, rule }) => path === problem.path && rule === problem.rule);
  const faults = exceptions.flatMap((exception) => {
    const message = faultOf(exception, problems, good, excusable);
    return message ? [{ path: exception.path, line: exception.line, rule: "exceptions", message }] : [];
  });
  return [...problems.filter((problem) => !excused(problem)), ...faults];
}

function exceptionsOf(module: Module): Exception[] {
  return module.comments.flatMap((comment) => {
    const match = /^\s*tidy:\s*([\w-]+)\s*:?\s*(.*)$/.exec(comment.value);
    if (comment.type !== "Line" || !match) return [];
    const [, rule = "", reason = ""] = match;
    return [{ path: module.path, line: module.lineAt(comment.start), rule, reason }];
  });
}

function faultOf(
  exception: Exception,
  problems: readonly Named[],
  good: readonly Exception[],
  excusable: ReadonlySet<string>,
): string | undefined {
  const { path, rule } = exception;
  if (!excusable.has(rule)) return `No exception can be made from ${rule}; see npm run tidy -- --rules.`;
  if (!good.includes(exception))
    return `The exception from ${rule} gives no reason; write // tidy: ${rule}: why.`;
  if (good.find((one) => one.path === path && one.rule === rule) !== exception) {
    return `The exception from ${rule} stands twice; keep one.`;
  }
  if (problems.some((problem) => problem.path === path && problem.rule === rule)) return undefined;
  return `Nothing here breaks ${rule} any more; delete the exception.`;
}
