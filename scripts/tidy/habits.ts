// Habits the compiler does not catch: swallowed errors, switched-off checks without a reason, tests that do
// not run or that sleep, and files that do not parse (which would blind every other rule).

import type { Node } from "oxc-parser";
import { isVariable, type Module, staticName } from "./syntax.ts";
import { isTest, type Problem, roomOf, type Tree } from "./tree.ts";

type Finding = { at: number; message: string };

export function checkParses(tree: Tree): Problem[] {
  return [...tree.modules.values()].flatMap(({ path, syntaxErrors: [first] }) =>
    first === undefined
      ? []
      : [{ path, line: 1, message: `The file does not parse (${first}); repair it first.` }],
  );
}

export function checkSwallowed(tree: Tree): Problem[] {
  return inModules(tree, (module) => module.nodes.flatMap((node) => swallowed(module, node)));
}

export function checkSwitchedOff(tree: Tree): Problem[] {
  return inModules(tree, (module) => [...module.nodes.flatMap(anyCast), ...unreasoned(module)]);
}

export function checkTestsRun(tree: Tree): Problem[] {
  return inModules(tree, (module) => {
    if (!isTest(module.path)) return [];
    const room = roomOf(module.path);
    const synchronous = room === "core" || room === "contract";
    return module.nodes.flatMap((node) => [...notRun(node), ...(synchronous ? sleeps(node, room) : [])]);
  });
}

function inModules(tree: Tree, find: (module: Module) => Finding[]): Problem[] {
  return [...tree.modules.values()].flatMap((module) =>
    find(module).map(({ at, message }) => ({ path: module.path, line: module.lineAt(at), message })),
  );
}

function swallowed(module: Module, node: Node): Finding[] {
  const body = node.type === "CatchClause" ? node.body : handlerBody(node);
  if (!body || hasComment(module, body)) return [];
  const [first, second] = body.body;
  const givesUp =
    first?.type === "ReturnStatement" && (!first.argument || isUndefined(first.argument)) && !second;
  if (first && !givesUp) return [];
  return [
    {
      at: node.start,
      message: "The error is swallowed here; handle it, pass it on, or say in a comment why not.",
    },
  ];
}

/** The body of f in `promise.catch(f)`. */
function handlerBody(node: Node) {
  if (node.type !== "CallExpression" || node.callee.type !== "MemberExpression") return undefined;
  if (staticName(node.callee.property, node.callee.computed) !== "catch") return undefined;
  const [handler] = node.arguments;
  const isFunction = handler?.type === "ArrowFunctionExpression" || handler?.type === "FunctionExpression";
  return isFunction && handler.body?.type === "BlockStatement" ? handler.body : undefined;
}

function hasComment(module: Module, block: Node): boolean {
  return module.comments.some(({ start, end }) => start > block.start && end <= block.end);
}

function isUndefined(node: Node): boolean {
  return node.type === "Identifier" && node.name === "undefined";
}

function anyCast(node: Node): Finding[] {
  if (node.type !== "TSAsExpression" && node.type !== "TSTypeAssertion") return [];
  if (node.typeAnnotation.type !== "TSAnyKeyword") return [];
  return [
    { at: node.start, message: "`as any` switches the types off; narrow the value or cast to what it is." },
  ];
}

const directives = [/^\W*@ts-(?:ignore|expect-error|nocheck)\b(.*)/s, /^\W*biome-ignore\S*\s+[^:]*:?(.*)/s];

function unreasoned(module: Module): Finding[] {
  return module.comments.flatMap(({ value, start }) => {
    const rest = directives.map((directive) => directive.exec(value)?.[1]).find((text) => text !== undefined);
    if (rest === undefined || /[a-z]{2,}\s+\S+/i.test(rest)) return [];
    return [{ at: start, message: "A check is switched off without a reason; write the reason behind it." }];
  });
}

const callers = new Set(["test", "it", "describe", "suite", "t"]);
const switches = new Set(["only", "skip", "todo"]);

function notRun(node: Node): Finding[] {
  if (node.type !== "CallExpression") return [];
  const { callee } = node;
  if (
    callee.type === "MemberExpression" &&
    callee.object.type === "Identifier" &&
    callers.has(callee.object.name)
  ) {
    const name = staticName(callee.property, callee.computed);
    if (name && switches.has(name)) return [{ at: node.start, message: notRunMessage(`.${name}(`) }];
  }
  if (callee.type !== "Identifier" || !callers.has(callee.name)) return [];
  const options = node.arguments.find((argument) => argument.type === "ObjectExpression");
  return (options?.properties ?? []).flatMap((property) => {
    if (property.type !== "Property") return [];
    const name = staticName(property.key, property.computed);
    // A condition may skip a test on a machine that cannot run it; a constant skips it everywhere.
    if (!name || !switches.has(name) || property.value.type !== "Literal" || !property.value.value) return [];
    return [{ at: property.start, message: notRunMessage(`{ ${name} }`) }];
  });
}

function notRunMessage(what: string): string {
  return `${what} keeps tests from running; run them all or delete the ones that promise nothing.`;
}

function sleeps(node: Node, room: string): Finding[] {
  const imports =
    node.type === "ImportDeclaration" && /^(node:)?timers(\/promises)?$/.test(node.source.value);
  const waits = node.type === "Identifier" && isVariable(node) && /^set(Timeout|Interval)$/.test(node.name);
  if (!imports && !(waits && node.parent?.type !== "ImportSpecifier")) return [];
  return [
    { at: node.start, message: `Tests in ${room}/ are synchronous; pass time in instead of sleeping.` },
  ];
}
