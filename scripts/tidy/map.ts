// Documents are maps: a file that they name exists. ARCHITECTURE.md is held to every path-like name, its
// drawings included; the other documents to names that can only be files of ours, and to their links.

import { posix } from "node:path";
import { codeSpans, type Found, fencedLines, links } from "./markdown.ts";
import { folderOf, isFixture, type Problem, type Tree } from "./tree.ts";

const extension = /\.(ts|tsx|js|mjs|md|yaml|yml|json|sh|py|html|css|sql)$/;
const mediaType = /^(text|application|image|audio|video|multipart)\//;
/** What npm and builds put into the tree; documents may name it. */
const untracked = /(^|\/)(node_modules|dist|\.git)(\/|$)/;

export function checkMap(tree: Tree): Problem[] {
  const endings = suffixesOf(tree);
  const problems: Problem[] = [];
  for (const [path, text] of tree.files) {
    if (!path.endsWith(".md") || isFixture(path)) continue;
    for (const { value, line } of namesIn(path, text)) {
      if (endings.has(value.replace(/^\.\/|\/$/g, ""))) continue;
      problems.push({ path, line, message: `\`${value}\` does not exist in the tree; correct the name.` });
    }
    for (const { value, line } of links(text)) {
      if (isElsewhere(value) || exists(tree, linkTarget(path, value))) continue;
      problems.push({ path, line, message: `The link to ${value} leads nowhere; correct it.` });
    }
  }
  return problems;
}

function namesIn(path: string, text: string): Found[] {
  const spans = codeSpans(text).filter(({ value }) => isPlainPath(value));
  if (path === "ARCHITECTURE.md") {
    return [...spans.filter(({ value }) => isPathLike(value)), ...fencedLines(text).flatMap(filesDrawn)];
  }
  if (!/^((README|STYLE|CONTRIBUTING)\.md|docs\/.*)$/.test(path)) return [];
  return spans.filter(({ value }) => value.includes("/") && extension.test(value));
}

/** Addresses, globs, placeholders, commands, absolute paths, packages and media types are no files here. */
function isPlainPath(value: string): boolean {
  return (
    /^[\w.][\w./-]*$/.test(value) &&
    !value.startsWith("../") &&
    !mediaType.test(value) &&
    !untracked.test(value)
  );
}

function isPathLike(value: string): boolean {
  return /[a-z]\/|\/[a-z]/.test(value) || /\w\.(ts|yaml|md|json)$/.test(value);
}

function filesDrawn({ value, line }: Found): Found[] {
  const words = value.match(/(?<![\w./{<*-])[\w][\w./-]*\.(ts|yaml|md|json)(?![\w/*-])/g) ?? [];
  return words.filter(isPlainPath).map((word) => ({ value: word, line }));
}

/** Every way to name a file or folder from some folder inwards; `http/reply` is enough for a .ts file. */
function suffixesOf(tree: Tree): Set<string> {
  const endings = new Set<string>();
  for (const path of [...tree.files.keys(), ...tree.folders]) {
    for (let rest = path; ; rest = rest.slice(rest.indexOf("/") + 1)) {
      endings.add(rest).add(rest.replace(/\.tsx?$/, ""));
      if (!rest.includes("/")) break;
    }
  }
  return endings;
}

function isElsewhere(link: string): boolean {
  return /^([a-z][a-z0-9+.-]*:|#)/i.test(link) || /[<>{}*]/.test(link);
}

function linkTarget(path: string, link: string): string {
  const bare = link
    .replace(/[#?].*$/, "")
    .replaceAll("%20", " ")
    .replace(/\/$/, "");
  return bare.startsWith("/") ? bare.slice(1) : posix.join(folderOf(path), bare);
}

function exists(tree: Tree, path: string): boolean {
  return path === "." || tree.files.has(path) || tree.folders.has(path);
}
