// One parsed source file: its syntax tree as a flat list, its imports, its comments and its line numbers.
// Everything is computed once, so that sixteen rules cost one parse. Knows nothing about rules or rooms.

import { type Comment, type Node, parseSync, visitorKeys } from "oxc-parser";

export type Import = { specifier: string; line: number };

export type Module = {
  path: string;
  text: string;
  lines: readonly string[];
  /** Every node, parents before children; `node.parent` is set. */
  nodes: readonly Node[];
  /** Static, dynamic and type-only imports, and re-exports. */
  imports: readonly Import[];
  comments: readonly Comment[];
  syntaxErrors: readonly string[];
  lineAt(offset: number): number;
};

export function parseModule(path: string, text: string): Module {
  const result = parseSync(path, text, { preserveParens: false });
  const nodes = flatten(result.program);
  const starts = lineStarts(text);
  const lineAt = (offset: number) => lineNumber(starts, offset);
  const imports = nodes.flatMap((node) => {
    const specifier = specifierOf(node);
    return specifier === undefined ? [] : [{ specifier, line: lineAt(node.start) }];
  });
  return {
    path,
    text,
    lines: text.split("\n"),
    nodes,
    imports,
    comments: result.comments,
    syntaxErrors: result.errors.map((error) => error.message),
    lineAt,
  };
}

/** Whether an identifier stands for a variable, and not for the name of a property, a label or an import. */
export function isVariable(node: Node & { type: "Identifier" }): boolean {
  const parent = node.parent;
  if (!parent) return true;
  // In `export { a } from "./a.ts"` both are names in another file.
  if (parent.type === "ExportSpecifier" && parent.parent?.type === "ExportNamedDeclaration") {
    if (parent.parent.source) return false;
  }
  if (parent.type === "MetaProperty") return false;
  const named = nameSlots[parent.type];
  if (named === undefined) return true;
  if ("computed" in parent && parent.computed) return true;
  return (parent as unknown as Record<string, unknown>)[named] !== node;
}

/** The field of a parent in which an identifier is only a name. */
const nameSlots: Record<string, string> = {
  MemberExpression: "property",
  Property: "key",
  MethodDefinition: "key",
  PropertyDefinition: "key",
  AccessorProperty: "key",
  TSPropertySignature: "key",
  TSMethodSignature: "key",
  TSAbstractMethodDefinition: "key",
  TSAbstractPropertyDefinition: "key",
  TSNamedTupleMember: "label",
  TSQualifiedName: "right",
  TSImportType: "qualifier",
  ImportSpecifier: "imported",
  ImportAttribute: "key",
  ExportSpecifier: "exported",
  ExportAllDeclaration: "exported",
  LabeledStatement: "label",
  BreakStatement: "label",
  ContinueStatement: "label",
};

/** The name of a member or property when the source shows it: `a.b`, `a["b"]`, `{ b }`, `{ "b": x }`. */
export function staticName(key: Node, computed: boolean): string | undefined {
  if (!computed && key.type === "Identifier") return key.name;
  if (key.type === "Literal" && typeof key.value === "string") return key.value;
  return undefined;
}

function flatten(root: Node): Node[] {
  const nodes: Node[] = [];
  const visit = (node: Node, parent: Node | null) => {
    (node as { parent?: Node | null }).parent = parent;
    nodes.push(node);
    for (const key of visitorKeys[node.type] ?? []) {
      const child = (node as unknown as Record<string, Node | (Node | null)[] | null>)[key];
      if (Array.isArray(child)) for (const one of child) one && visit(one, node);
      else if (child) visit(child, node);
    }
  };
  visit(root, null);
  return nodes;
}

function specifierOf(node: Node): string | undefined {
  switch (node.type) {
    case "ImportDeclaration":
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration":
    case "ImportExpression":
    case "TSImportType":
      return node.source?.type === "Literal" && typeof node.source.value === "string"
        ? node.source.value
        : undefined;
    default:
      return undefined;
  }
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

function lineNumber(starts: readonly number[], offset: number): number {
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle;
  }
  return low + 1;
}
