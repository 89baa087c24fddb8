// core/ decides and contract/ names: neither may see a clock, chance, the machine or the network, because
// the journal replays to the same decisions only if nothing else can flow in. What they may use is listed, so
// that a global nobody thought of is refused. Reads the syntax tree, never the text.

import { isBuiltin } from "node:module";
import type { Node } from "oxc-parser";
import { type GlobalName, globalNames } from "./globals.ts";
import { type Module, staticName } from "./syntax.ts";
import { isProduct, type Problem, roomOf, type Tree } from "./tree.ts";

/** What only calculates, the same on every machine and at every time. Of `Math` all but random. */
const calculating = [
  ...["undefined", "NaN", "Infinity", "Boolean", "Number", "BigInt", "String", "Symbol", "Math", "JSON"],
  ...["Object", "Array", "Map", "Set", "WeakMap", "WeakSet", "Iterator"],
  ...["Error", "RangeError", "TypeError", "SyntaxError"],
  ...["Float64Array", "Int32Array", "Uint32Array", "Uint8Array"],
];

/** `Date` calculates with a time that is given to it; asking it for the present one is refused below. */
const parsing = ["RegExp", "Date", "URL", "TextEncoder", "structuredClone"];

const allowedGlobals: Record<string, ReadonlySet<string>> = {
  core: new Set(calculating),
  contract: new Set([...calculating, ...parsing]),
};

const advice: Record<string, string> = {
  core: "time, chance and answers arrive inside events, and work leaves as effects.",
  contract: "it only names shapes, so let the caller pass the value in.",
};

export function checkPure(tree: Tree): Problem[] {
  const problems: Problem[] = [];
  for (const module of tree.modules.values()) {
    const room = roomOf(module.path);
    const allowed = allowedGlobals[room];
    if (!allowed || !isProduct(module.path)) continue;
    const report = (line: number, message: string) => problems.push({ path: module.path, line, message });
    for (const { what, line } of builtinImports(module)) report(line, refusal(what, room));
    for (const node of module.nodes) {
      const what =
        memberFault(node) ?? loadingFault(node) ?? (room === "core" ? asyncFault(node) : undefined);
      if (what) report(module.lineAt(node.start), refusal(what, room));
    }
    for (const global of globalNames(module)) {
      const message = globalFault(global, room, allowed);
      if (message) report(module.lineAt(global.node.start), message);
    }
  }
  return problems;
}

function refusal(what: string, room: string): string {
  return `${what} must not appear in ${room}/; ${advice[room]}`;
}

function builtinImports(module: Module): { what: string; line: number }[] {
  return module.imports
    .filter(({ specifier }) => isBuiltin(specifier))
    .map(({ specifier, line }) => ({ what: `An import of ${specifier}`, line }));
}

function globalFault(
  { name, node, how }: GlobalName,
  room: string,
  allowed: ReadonlySet<string>,
): string | undefined {
  if (how === "taken") {
    return `A value in ${room}/ must not be called \`${name}\`, which hides the global of that name; rename it.`;
  }
  if (!allowed.has(name)) {
    const list = "What only calculates may be added to the list in scripts/tidy/pure.ts.";
    return `${refusal(`The global \`${name}\``, room)} ${list}`;
  }
  if (name === "Math" && usesRandom(node)) return refusal("`Math.random`, or `Math` as a value,", room);
  if (name === "Date" && how === "use" && readsClock(node)) return refusal("The clock behind `Date`", room);
  return undefined;
}

/** Members that lead out of what is listed: to the machine's language, and by any function to `Function`. */
function memberFault(node: Node): string | undefined {
  const isPart = node.type === "Property" && node.parent?.type === "ObjectPattern";
  const key = node.type === "MemberExpression" ? node.property : isPart ? node.key : undefined;
  if (!key || !("computed" in node)) return undefined;
  const name = staticName(key, node.computed) ?? "";
  return /^(constructor|__proto__|localeCompare|toLocale\w+)$/.test(name) ? `\`.${name}\`` : undefined;
}

function loadingFault(node: Node): string | undefined {
  if (node.type === "ImportExpression") return "A dynamic import";
  return node.type === "MetaProperty" && node.meta.name === "import" ? "`import.meta`" : undefined;
}

function asyncFault(node: Node): string | undefined {
  if ("async" in node && node.async) return "`async`";
  if (node.type === "AwaitExpression") return "`await`";
  if (node.type === "ForOfStatement" && node.await) return "`for await`";
  if (node.type === "VariableDeclaration" && node.kind === "await using") return "`await using`";
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
