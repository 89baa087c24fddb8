// Every source file is reachable from a door, and every workspace with sources keeps a test beside them and
// runs it. A file that nobody reaches is read, searched and repaired for nothing.

import { posix } from "node:path";
import type { Module } from "./syntax.ts";
import {
  commandFiles,
  doorsOf,
  isProduct,
  isTest,
  type Problem,
  resolveImport,
  roomOf,
  startedFiles,
  type Tree,
} from "./tree.ts";

export function checkDead(tree: Tree): Problem[] {
  const alive = reach(tree, doors(tree));
  const tests = [...tree.modules.keys()].filter(isTest);
  const aliveInTests = reach(tree, tests);
  const problems: Problem[] = [];
  for (const path of tree.modules.keys()) {
    // The whole harness is there for its tests, so a test is a door there.
    const byTest = !isProduct(path) || roomOf(path) === "harness";
    if (isTest(path) || alive.has(path) || (byTest && aliveInTests.has(path))) continue;
    problems.push({ path, line: 1, message: deadMessage(path) });
  }
  return problems;
}

function deadMessage(path: string): string {
  if (!isProduct(path)) return "No test imports this file; use it or delete it.";
  if (roomOf(path) === "harness")
    return "No command and no test of the harness uses this file; use it or delete it.";
  return "No door leads to this file (exports, bin, main.ts, a package.json script); import it or delete it.";
}

export function checkTestsExist(tree: Tree): Problem[] {
  const paths = [...tree.modules.keys()].filter((path) => roomOf(path) !== "" && !path.startsWith("."));
  const done = new Set(paths.filter(isTest).map(roomOf));
  const problems: Problem[] = [];
  for (const path of paths) {
    const room = roomOf(path);
    if (done.has(room)) continue;
    done.add(room);
    const message = `${room}/ has source files and no test; put x.test.ts beside the file that promises something.`;
    problems.push({ path, line: 1, message });
  }
  return problems;
}

const testScripts = { pretest: "node ../scripts/setup.js", test: "node ../scripts/test.ts ." };

export function checkTestScripts(tree: Tree): Problem[] {
  const workspaces = (tree.manifests.get("")?.workspaces ?? []).filter((room) => tree.manifests.has(room));
  return workspaces.flatMap((room) =>
    Object.entries(testScripts)
      .filter(([name, command]) => tree.manifests.get(room)?.scripts?.[name] !== command)
      .map(([name, command]) => {
        const message =
          `The script ${name} must be "${command}", so that npm test -w ${room} works ` +
          "in a fresh clone and is green only when tests ran.";
        return { path: `${room}/package.json`, line: 1, message };
      }),
  );
}

export function checkDoors(tree: Tree): Problem[] {
  const problems: Problem[] = [];
  for (const [folder, manifest] of tree.manifests) {
    for (const [door, targets] of doorsOf(manifest)) {
      if (door.includes("*") || targets.some((target) => tree.files.has(posix.join(folder, target))))
        continue;
      const message = `The door "${door}" leads to no file (${targets.join(", ")}); correct it or delete it.`;
      problems.push({ path: posix.join(folder, "package.json"), line: 1, message });
    }
  }
  return problems;
}

function doors(tree: Tree): string[] {
  const found = [...commandFiles(tree)];
  for (const path of tree.modules.keys()) {
    const name = posix.basename(path);
    // main is the door by its name; a tool finds x.config.ts by its name too.
    if (/^main\.tsx?$/.test(name) || /\.config\.\w+$/.test(name)) found.push(path);
  }
  for (const [folder, manifest] of tree.manifests) {
    for (const target of [...doorsOf(manifest).values()].flat()) found.push(posix.join(folder, target));
  }
  return found;
}

function reach(tree: Tree, starts: Iterable<string>): Set<string> {
  const seen = new Set(starts);
  for (const path of seen) {
    const module = tree.modules.get(path);
    for (const next of module ? referencesOf(tree, module) : []) seen.add(next);
  }
  return seen;
}

/** What a file imports, and what it starts. */
function referencesOf(tree: Tree, module: Module): string[] {
  const imported = module.imports.map(({ specifier }) => resolveImport(tree, module.path, specifier));
  const found = [...imported, ...startedFiles(tree, module)];
  return found.filter((path) => path !== undefined && tree.modules.has(path)) as string[];
}
