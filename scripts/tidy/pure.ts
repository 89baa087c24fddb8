// core/ decides and contract/ names: neither may see a clock, chance, the machine or the network, because
// the journal replays to the same decisions only if nothing else can flow in. Reads the syntax tree, never
// the text.

import { isBuiltin } from "node:module";
import type { Node } from "oxc-parser";
import { isVariable, type Module, staticName } from "./syntax.ts";
import { isProduct, type Problem, roomOf, type Tree } from "./tree.ts";

const timers = ["setTimeout", "setInterval", "setImmediate", "queueMicrotask"];
const machine = ["process", "fetch", "console", "performance", "crypto", "Temporal"];
const coreOnly = ["Date", "Promise", "globalThis", "global", "Worker", "eval", "WebSocket", "EventSource"];

const bannedNames: Record<string, ReadonlySet<string>> = {
  core: new Set([...timers, ...machine, ...coreOnly]),
  contract: new Set([...timers, ...machine]),
};

export function checkPure(tree: Tree): Problem[] {
  const problems: Problem[] = [];
  for (const module of tree.modules.values()) {
    const room = roomOf(module.path);
    const banned = bannedNames[room];
    if (!banned || !isProduct(module.path)) continue;
    problems.push(...builtinImports(module, room));
    for (const node of module.nodes) {
      const what = faultOf(node, room, banned);
      if (!what) continue;
      const message = `${what} must not appear in ${room}/; ${advice[room]}`;
      problems.push({ path: module.path, line: module.lineAt(node.start), message });
    }
  }
  return problems;
}

const advice: Record<string, string> = {
  core: "time, chance and answers arrive inside events, and work leaves as effects.",
  contract: "it only names shapes, so let the caller pass the value in.",
};

function builtinImports(module: Module, room: string): Problem[] {
  return module.imports
    .filter(({ specifier }) => isBuiltin(specifier))
    .map(({ specifier, line }) => ({
      path: module.path,
      line,
      message: `An import of ${specifier} must not appear in ${room}/; ${advice[room]}`,
    }));
}

function faultOf(node: Node, room: string, banned: ReadonlySet<string>): string | undefined {
  if (node.type === "Identifier" && isVariable(node)) {
    // A local variable of that name is refused too: it would hide the global from the reader.
    if (banned.has(node.name)) return `\`${node.name}\``;
    if (node.name === "Math" && usesRandom(node)) return "`Math.random`, or `Math` as a value,";
    if (node.name === "Date" && readsClock(node)) return "The clock behind `Date`";
  }
  return room === "core" ? asyncFault(node) : undefined;
}

function asyncFault(node: Node): string | undefined {
  if ("async" in node && node.async) return "`async`";
  if (node.type === "AwaitExpression") return "`await`";
  if (node.type === "ForOfStatement" && node.await) return "`for await`";
  if (node.type === "VariableDeclaration" && node.kind === "await using") return "`await using`";
  if (node.type === "ImportExpression") return "A dynamic import";
  return undefined;
}

function usesRandom(node: Node): boolean {
  const names = namesTakenFrom(node);
  return names === undefined || names.includes("random");
}

/** Parsing and formatting a given time is a calculation; asking for the present one is not. */
function readsClock(node: Node): boolean {
  const parent = node.parent;
  if (parent?.type === "NewExpression" && parent.callee === node) return parent.arguments.length === 0;
  if (parent?.type === "BinaryExpression" && parent.operator === "instanceof") return false;
  if (parent?.type === "TSTypeReference") return false;
  const names = namesTakenFrom(node);
  return names === undefined || names.some((name) => name !== "parse" && name !== "UTC");
}

/** What is read from a global (`Math.max`, `const { max } = Math`); undefined when the value escapes. */
function namesTakenFrom(node: Node): string[] | undefined {
  const parent = node.parent;
  if (parent?.type === "MemberExpression" && parent.object === node) {
    const name = staticName(parent.property, parent.computed);
    return name === undefined ? undefined : [name];
  }
  if (parent?.type !== "VariableDeclarator" || parent.init !== node || parent.id.type !== "ObjectPattern") {
    return undefined;
  }
  const names = parent.id.properties.map((property) =>
    property.type === "Property" ? staticName(property.key, property.computed) : undefined,
  );
  return names.every((name) => name !== undefined) ? names : undefined;
}
