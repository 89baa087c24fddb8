// Every dependency costs: it has a row in docs/dependencies.md that says what for, an exact version, and a
// place in the lock file, which names no registry so that it installs from any mirror.

import { posix } from "node:path";
import { type Row, tables } from "./markdown.ts";
import type { Problem, Tree } from "./tree.ts";

const document = "docs/dependencies.md";
const lockFile = "package-lock.json";

type Dependency = {
  name: string;
  version: string;
  folder: string;
  peer: boolean;
  path: string;
  line: number;
};

export function checkDependencies(tree: Tree): Problem[] {
  const used = dependenciesOf(tree);
  const problems = used.flatMap((one) =>
    one.peer || isExact(one.version) ? [] : [complain(one, versionFault(one))],
  );
  const text = tree.files.get(document);
  if (text === undefined) {
    const missing = {
      path: "package.json",
      line: 1,
      message: `${document} is missing; write a table with a row for each.`,
    };
    return used.length === 0 ? problems : [...problems, missing];
  }
  const rows = rowsOf(text);
  const documented = new Set(rows.flatMap(({ names }) => names));
  for (const one of used) {
    if (documented.has(one.name)) continue;
    documented.add(one.name);
    problems.push(
      complain(one, `${one.name} has no row in ${document}; write down its purpose, licence and reason.`),
    );
  }
  const real = new Set(used.map(({ name }) => name));
  return [...problems, ...rows.flatMap((row) => rowFaults(row, real))];
}

export function checkLock(tree: Tree): Problem[] {
  const text = tree.files.get(lockFile);
  if (text === undefined) return [];
  const lock: { packages?: Record<string, { resolved?: string; link?: boolean; version?: string }> } =
    JSON.parse(text);
  const packages = lock.packages ?? {};
  const problems: Problem[] = [];
  for (const [place, entry] of Object.entries(packages)) {
    if (entry.resolved === undefined || entry.link) continue;
    const message = `The entry ${place} has a resolved address; install with omit-lockfile-registry-resolved=true.`;
    problems.push({ path: lockFile, line: lineOf(text, `"${place}"`), message });
  }
  for (const one of dependenciesOf(tree)) {
    // A folder with a lock file of its own is installed apart, where and when it is needed.
    if (one.folder !== "" && tree.files.has(posix.join(one.folder, lockFile))) continue;
    const entry =
      packages[posix.join(one.folder, "node_modules", one.name)] ?? packages[`node_modules/${one.name}`];
    if (entry === undefined) {
      problems.push(
        complain(one, `${one.name} is not in ${lockFile}; run npm install and commit the lock file.`),
      );
    } else if (isExact(one.version) && entry.version !== one.version) {
      const message = `${one.name} is ${entry.version} in ${lockFile} and ${one.version} here; run npm install.`;
      problems.push(complain(one, message));
    }
  }
  return problems;
}

const fields = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"] as const;

/** Every declared dependency that is not a workspace of ours. */
function dependenciesOf(tree: Tree): Dependency[] {
  const found: Dependency[] = [];
  for (const [folder, manifest] of tree.manifests) {
    const path = posix.join(folder, "package.json");
    const text = tree.files.get(path) ?? "";
    for (const field of fields) {
      for (const [name, version] of Object.entries(manifest[field] ?? {})) {
        if (name.startsWith("@llama-orch/")) continue;
        const peer = field === "peerDependencies";
        found.push({ name, version, folder, peer, path, line: lineOf(text, `"${name}":`) });
      }
    }
  }
  return found;
}

function rowsOf(text: string): (Row & { header: string[]; names: string[] })[] {
  return tables(text).flatMap(({ header, rows }) =>
    rows.map((row) => {
      const names = [...(row.cells[0] ?? "").matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");
      return { ...row, header, names };
    }),
  );
}

const columns = { purpose: /purpose/i, licence: /licen[cs]e/i, reason: /reason/i };

function rowFaults(
  { cells, line, header, names }: ReturnType<typeof rowsOf>[number],
  real: Set<string>,
): Problem[] {
  const faults = names
    .filter((name) => !real.has(name))
    .map((name) => `No package.json depends on ${name}; delete its row.`);
  for (const [column, title] of Object.entries(columns)) {
    const cell = cells[header.findIndex((head) => title.test(head))];
    if (names.length > 0 && !cell)
      faults.push(`The row of ${names.join(", ")} has no ${column}; fill it in.`);
  }
  return faults.map((message) => ({ path: document, line, message }));
}

function isExact(version: string): boolean {
  return /^\d+\.\d+\.\d+(-[\w.-]+)?$/.test(version);
}

function versionFault({ name, version }: Dependency): string {
  return `${name} has the version ${version}; write an exact one, so that only the lock file decides about updates.`;
}

function complain({ path, line }: Dependency, message: string): Problem {
  return { path, line, message };
}

function lineOf(text: string, part: string): number {
  const at = text.indexOf(part);
  return at < 0 ? 1 : text.slice(0, at).split("\n").length;
}
