// The environment and the command line are read in one place per workspace, so that one page tells what a
// program listens to. Everyone else receives a value.

import type { Node } from "oxc-parser";
import { isVariable, type Module, staticName } from "./syntax.ts";
import { commandFiles, isTest, type Problem, roomOf, startedFiles, type Tree } from "./tree.ts";

const guarded = new Set(["env", "argv"]);

export function checkEnvironment(tree: Tree): Problem[] {
  const commands = new Set([...commandFiles(tree), ...processFiles(tree)]);
  const problems: Problem[] = [];
  for (const module of tree.modules.values()) {
    if (isTest(module.path)) continue;
    const fault = faultOf(tree, module.path, commands);
    if (!fault) continue;
    for (const { name, line } of readsOf(module)) {
      problems.push({ path: module.path, line, message: `process.${name} is read here; ${fault}` });
    }
  }
  return problems;
}

/** What the harness starts as a process of its own gets its values by the command line. */
function processFiles(tree: Tree): string[] {
  const harness = [...tree.modules.values()].filter(({ path }) => roomOf(path) === "harness");
  return harness.flatMap((module) => startedFiles(tree, module));
}

function faultOf(tree: Tree, path: string, commands: ReadonlySet<string>): string | undefined {
  const room = roomOf(path);
  if (room === "scripts" || room === "harness") {
    return commands.has(path)
      ? undefined
      : "only the file that a package.json script names reads it; pass the value in.";
  }
  if (path === `${room}/config.ts`) return undefined;
  if (path !== `${room}/main.ts`) return `read it in ${room}/config.ts and pass the value in.`;
  const config = tree.modules.get(`${room}/config.ts`);
  if (!config || readsOf(config).length === 0) return undefined;
  return `${room}/config.ts already reads it, and one place is enough; move this there.`;
}

function readsOf(module: Module): { name: string; line: number }[] {
  return module.nodes.flatMap((node) =>
    namesRead(node).map((name) => ({ name, line: module.lineAt(node.start) })),
  );
}

function namesRead(node: Node): string[] {
  if (node.type === "ImportDeclaration" && /^(node:)?process$/.test(node.source.value)) {
    return node.specifiers.flatMap((item) =>
      item.type === "ImportSpecifier" && item.imported.type === "Identifier" ? keep(item.imported.name) : [],
    );
  }
  if (node.type !== "Identifier" || node.name !== "process" || !isVariable(node)) return [];
  const parent = node.parent;
  if (parent?.type === "MemberExpression" && parent.object === node) {
    return keep(staticName(parent.property, parent.computed));
  }
  if (parent?.type === "VariableDeclarator" && parent.id.type === "ObjectPattern") {
    return parent.id.properties.flatMap((property) =>
      property.type === "Property" ? keep(staticName(property.key, property.computed)) : [],
    );
  }
  return [];
}

function keep(name: string | undefined): string[] {
  return name !== undefined && guarded.has(name) ? [name] : [];
}
