// Which names of a file come from nowhere in it: the globals. A name counts as the file's own when any scope
// of it declares that name; so that no global hides behind one of its own, taking a global's name for a value
// is reported too.

import type { Node } from "oxc-parser";
import { isVariable, type Module } from "./syntax.ts";

/** `use`: read as a value. `type`: only named as a type. `taken`: a value of the file has a global's name. */
export type GlobalName = { name: string; node: Node; how: "use" | "type" | "taken" };

export function globalNames(module: Module): GlobalName[] {
  const values = module.nodes.flatMap(valuesDeclaredBy);
  const types = module.nodes.flatMap(typesDeclaredBy);
  const own = { values: namesOf(values), types: namesOf(types) };
  const declaring = { values: new Set<Node>(values), types: new Set<Node>(types) };
  return module.nodes.flatMap((node): GlobalName[] => {
    if (node.type !== "Identifier" || !isVariable(node) || declaring.types.has(node)) return [];
    const { name } = node;
    if (declaring.values.has(node)) return isGlobal(name) ? [{ name, node, how: "taken" }] : [];
    if (own.values.has(name)) return [];
    if (isTypePosition(node))
      return isGlobal(name) && !own.types.has(name) ? [{ name, node, how: "type" }] : [];
    return own.types.has(name) && node.parent?.type === "ExportSpecifier" ? [] : [{ name, node, how: "use" }];
  });
}

function isGlobal(name: string): boolean {
  return Object.hasOwn(globalThis, name);
}

function namesOf(identifiers: readonly Identifier[]): Set<string> {
  return new Set(identifiers.map(({ name }) => name));
}

type Identifier = Node & { type: "Identifier" };

function valuesDeclaredBy(node: Node): Identifier[] {
  switch (node.type) {
    case "VariableDeclarator":
      return boundBy(node.id);
    case "ImportSpecifier":
    case "ImportDefaultSpecifier":
    case "ImportNamespaceSpecifier":
      return isTypeImport(node) ? [] : boundBy(node.local);
    case "CatchClause":
      return boundBy(node.param);
    case "ClassDeclaration":
    case "ClassExpression":
      return boundBy(node.id);
    default: {
      const { id, params, parameters } = node as { id?: unknown; params?: unknown; parameters?: unknown };
      const named = /^(Function|TSDeclareFunction)/.test(node.type) ? boundBy(id) : [];
      return [...named, ...boundBy(params), ...boundBy(parameters)];
    }
  }
}

/** The names in a pattern: `a`, `[a, ...b]`, `{ a, b: c = 1 }`, and a list of such. */
function boundBy(pattern: unknown): Identifier[] {
  if (Array.isArray(pattern)) return pattern.flatMap(boundBy);
  const node = pattern as Node | null | undefined;
  switch (node?.type) {
    case "Identifier":
      return [node as Identifier];
    case "ArrayPattern":
      return boundBy(node.elements);
    case "ObjectPattern":
      return boundBy(node.properties);
    case "Property":
      return boundBy(node.value);
    case "AssignmentPattern":
      return boundBy(node.left);
    case "RestElement":
      return boundBy(node.argument);
    default:
      return [];
  }
}

function isTypeImport(node: Node): boolean {
  return [node, node.parent].some((one) => one && "importKind" in one && one.importKind === "type");
}

function typesDeclaredBy(node: Node): Identifier[] {
  switch (node.type) {
    case "ImportSpecifier":
    case "ImportDefaultSpecifier":
    case "ImportNamespaceSpecifier":
      return isTypeImport(node) ? boundBy(node.local) : [];
    case "TSTypeAliasDeclaration":
    case "TSInterfaceDeclaration":
      return boundBy(node.id);
    case "TSTypeParameter":
      return boundBy(node.name);
    case "TSMappedType":
      return boundBy(node.key);
    default:
      return [];
  }
}

function isTypePosition(node: Node): boolean {
  const { parent } = node;
  if (parent?.type === "TSQualifiedName") return isTypePosition(parent);
  return parent != null && /^TS(TypeReference|ClassImplements|InterfaceHeritage)$/.test(parent.type);
}
