// Finds the test files of the tree. Paths are relative to the root, with forward slashes, sorted.

import { globSync } from "node:fs";
import { relative, resolve, sep } from "node:path";

export function findFiles(root: string, ending: string): string[] {
  const isOutside = (path: string) =>
    path.split(sep).some((name) => name === "node_modules" || name.startsWith("."));
  const found = globSync(`**/*${ending}`, { cwd: root, exclude: isOutside });
  return found.map((path) => path.replaceAll(sep, "/")).sort();
}

/** The files at or below the paths, which are relative to `from`; `empty` are the paths without any. */
export function narrow(root: string, from: string, files: readonly string[], paths: readonly string[]) {
  const wanted = paths.map((path) => relative(root, resolve(from, path)).replaceAll(sep, "/"));
  const isBelow = (file: string, path: string) => path === "" || file === path || file.startsWith(`${path}/`);
  return {
    files: files.filter((file) => wanted.some((path) => isBelow(file, path))),
    empty: paths.filter((_, index) => !files.some((file) => isBelow(file, wanted[index] ?? ""))),
  };
}
