// The tree that the rules look at: every file as text, every source file parsed once, every package.json
// read. Rules are pure functions over it, so a test can feed them a tree of three lines.

import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join, posix } from "node:path";
import type { Node } from "oxc-parser";
import { type Module, parseModule } from "./syntax.ts";

export type Problem = { path: string; line: number; message: string };

export type Manifest = {
  name?: string;
  private?: boolean;
  workspaces?: string[];
  exports?: unknown;
  bin?: string | Record<string, string>;
  scripts?: Record<string, string>;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
};

export type Tree = {
  /** Path from the root, with forward slashes, → text; a binary file has no text. */
  files: ReadonlyMap<string, string>;
  /** All folders that hold a file, directly or further down. */
  folders: ReadonlySet<string>;
  modules: ReadonlyMap<string, Module>;
  /** Folder → its package.json; the root is "". */
  manifests: ReadonlyMap<string, Manifest>;
};

export function makeTree(files: Record<string, string>): Tree {
  const modules = new Map<string, Module>();
  const manifests = new Map<string, Manifest>();
  const folders = new Set<string>();
  for (const [path, text] of Object.entries(files)) {
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1))
      folders.add(path.slice(0, at));
    if (isSource(path)) modules.set(path, parseModule(path, text));
    if (posix.basename(path) === "package.json" && !isFixture(path))
      manifests.set(folderOf(path), parseManifest(path, text));
  }
  return { files: new Map(Object.entries(files)), folders, modules, manifests };
}

/** Reads what git tracks or would track; a file that is deleted but not yet committed is left out. */
export function readTree(root: string): Tree {
  const list = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  const files: Record<string, string> = {};
  for (const path of list.split("\0").sort()) {
    const full = join(root, path);
    if (!path || !statSync(full, { throwIfNoEntry: false })?.isFile()) continue;
    const bytes = readFileSync(full);
    files[path] = bytes.subarray(0, 8192).includes(0) ? "" : bytes.toString("utf8");
  }
  return makeTree(files);
}

/** The folder at the root that a file lives in; "" for a file at the root. */
export function roomOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : "";
}

export function isTest(path: string): boolean {
  return /\.test\.(ts|tsx|js)$/.test(path);
}

/** Conformance suites and what lies under fixtures/: code that only tests need. */
export function isTestSupport(path: string): boolean {
  return /\.conformance\.ts$/.test(path) || isFixture(path);
}

/** Code that runs in production: neither a test nor its support. */
export function isProduct(path: string): boolean {
  return !isTest(path) && !isTestSupport(path);
}

export function isFixture(path: string): boolean {
  return path.split("/").includes("fixtures");
}

export function isSource(path: string): boolean {
  return /\.(ts|tsx|mts|js|mjs|jsx)$/.test(path) && !path.endsWith(".d.ts");
}

export function folderOf(path: string): string {
  return path.includes("/") ? posix.dirname(path) : "";
}

/** The files that the scripts and bins of any package.json start. */
export function commandFiles(tree: Tree): Set<string> {
  const found = new Set<string>();
  for (const [folder, manifest] of tree.manifests) {
    const named = [
      ...strings(manifest.bin),
      ...strings(manifest.scripts).flatMap((line) => line.split(/[\s"'=]+/)),
    ];
    for (const name of named) {
      const path = posix.join(folder, name);
      if (tree.modules.has(path)) found.add(path);
    }
  }
  return found;
}

/** The files that a module names in a text, to start them as a process or a thread. */
export function startedFiles(tree: Tree, { path, nodes }: Module): string[] {
  return nodes.flatMap((node) => {
    if (/^(Import|Export)/.test(node.parent?.type ?? "")) return [];
    const name = textEnd(node);
    if (name === undefined || !isSource(name)) return [];
    return [posix.join(folderOf(path), name), name].filter((file) => tree.modules.has(file));
  });
}

/** The text, or what stands behind the last part that is computed: `${import.meta.dirname}/case.ts`. */
function textEnd(node: Node): string | undefined {
  if (node.type === "TemplateLiteral") return node.quasis.at(-1)?.value.raw;
  return node.type === "Literal" && typeof node.value === "string" ? node.value : undefined;
}

/** The files that a package's `exports` name, by door: "." and "./adapter". */
export function doorsOf(manifest: Manifest): Map<string, string[]> {
  const { exports } = manifest;
  if (typeof exports !== "object" || exports === null) {
    return new Map(typeof exports === "string" ? [[".", [exports]]] : []);
  }
  const entries = Object.entries(exports);
  if (!entries.every(([key]) => key.startsWith("."))) return new Map([[".", strings(exports)]]);
  return new Map(entries.map(([door, target]) => [door, strings(target)]));
}

/** Splits `@llama-orch/engines/adapter` into its room and its door; undefined for any other specifier. */
export function parseDoor(specifier: string): { room: string; door: string } | undefined {
  const match = /^@llama-orch\/([^/]+)(\/.+)?$/.exec(specifier);
  return match?.[1] === undefined ? undefined : { room: match[1], door: `.${match[2] ?? ""}` };
}

/** The file an import leads to, when it is one of ours. */
export function resolveImport(tree: Tree, from: string, specifier: string): string | undefined {
  if (specifier.startsWith(".")) return existing(tree, posix.join(folderOf(from), specifier));
  const door = parseDoor(specifier);
  const manifest = door && tree.manifests.get(door.room);
  if (!door || !manifest) return undefined;
  for (const target of doorsOf(manifest).get(door.door) ?? []) {
    const path = existing(tree, posix.join(door.room, target));
    if (path) return path;
  }
  return undefined;
}

function existing(tree: Tree, path: string): string | undefined {
  return tree.files.has(path) ? path : undefined;
}

function parseManifest(path: string, text: string): Manifest {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${path} is not valid JSON, so no rule can be checked; repair it first.`, { cause });
  }
}

function strings(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(strings) : [];
}
