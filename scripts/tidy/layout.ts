// How a file presents itself: it opens with a header comment, it exports by name, and only a workspace's
// root has a barrel. So a reader always knows what a file owns and where a name comes from.

import { isTest, type Problem, roomOf, type Tree } from "./tree.ts";

export function checkHeaders(tree: Tree): Problem[] {
  const problems: Problem[] = [];
  for (const module of tree.modules.values()) {
    if (isTest(module.path) || module.text.trim() === "") continue;
    const [first] = module.comments;
    const before = first ? module.text.slice(0, first.start) : module.text;
    const opens = before.replace(/^#!.*/, "").trim() === "";
    if (opens && first && !/^\s*(tidy:|biome-ignore|@ts-)/.test(first.value) && /\w+\s+\w+/.test(first.value))
      continue;
    const message =
      "The file has no header; open it with a comment of one to five sentences on what it owns.";
    problems.push({ path: module.path, line: 1, message });
  }
  return problems;
}

export function checkExports(tree: Tree): Problem[] {
  const problems: Problem[] = [];
  for (const module of tree.modules.values()) {
    const { path } = module;
    const isBarrel = /(^|\/)index\.\w+$/.test(path);
    if (isBarrel && !/^[^/]+\/index\.ts$/.test(path)) {
      const message = `A barrel stands only at the root of a workspace (${roomOf(path)}/index.ts); name this file after its main export.`;
      problems.push({ path, line: 1, message });
    }
    // The tools that read x.config.ts demand a default export.
    if (/\.config\.\w+$/.test(path)) continue;
    for (const node of module.nodes) {
      const isDefault =
        node.type === "ExportDefaultDeclaration" ||
        (node.type === "ExportSpecifier" && "name" in node.exported && node.exported.name === "default");
      if (!isDefault) continue;
      const message = "A default export has a different name in every importer; export it by its name.";
      problems.push({ path, line: module.lineAt(node.start), message });
    }
  }
  return problems;
}
