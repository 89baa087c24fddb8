// One word per concept, in names of folders, files, exports and types. Folders and files are domain nouns in
// kebab-case; forbidden words hide which of our concepts is meant.

import { posix } from "node:path";
import type { Node } from "oxc-parser";
import { isFixture, type Problem, type Tree } from "./tree.ts";

const folderWords = new Set(
  "utils util helpers helper types interfaces services common misc lib src packages".split(" "),
);

/** Word → the word we use for it. */
const words: Record<string, string> = {
  job: "task",
  worker: "replica or attempt",
  backend: "engine",
  user: "tenant",
  host: "node",
  runtime: "engine",
};

/** Names that carry a forbidden word and are right. */
const exceptions: { name: RegExp; reason: string }[] = [
  { name: /job_?ids?/gi, reason: "The wire has the field job_id." },
  { name: /WORKER_RESET/g, reason: "An error code on the wire." },
  { name: /(^|-)worker(\.test)?\.ts$/g, reason: "The file that a thread or process starts with." },
];

/** A unit in front of what it measures; bytesRead and tokensPerSecond are nouns and stay silent. */
const unitFirst =
  /^(ms(?!Per|To|From|Since|Until|Between|Left|Of)[A-Z]\w*|(bytes|tokens)(Max|Min|Limit|Budget))$/;

export function checkVocabulary(tree: Tree): Problem[] {
  const problems = [...tree.folders].flatMap((folder) => folderFaults(tree, folder));
  for (const module of tree.modules.values()) {
    problems.push(...fileFaults(module.path));
    for (const node of module.nodes) {
      for (const { name, at, fault } of nameFaults(node)) {
        problems.push({ path: module.path, line: module.lineAt(at), message: `The name ${name} ${fault}` });
      }
    }
  }
  return problems;
}

function folderFaults(tree: Tree, folder: string): Problem[] {
  const name = posix.basename(folder);
  if (folder.startsWith(".") || isFixture(folder)) return [];
  const path = [...tree.files.keys()].find((file) => file.startsWith(`${folder}/`)) ?? folder;
  if (folderWords.has(name)) {
    const message = `The folder ${name}/ names a language construct; name it after what its files are about.`;
    return [{ path, line: 1, message }];
  }
  if (/^[a-z0-9]+([-.][a-z0-9]+)*$/.test(name)) return [];
  return [{ path, line: 1, message: `The folder ${name}/ is not kebab-case; rename it.` }];
}

function fileFaults(path: string): Problem[] {
  const name = posix.basename(path);
  const stem = name.slice(0, name.indexOf("."));
  const faults: string[] = [];
  if (folderWords.has(stem)) faults.push("names a language construct; name it after its main export.");
  if (!/^[a-z0-9]+([-.][a-z0-9]+)*$/.test(name)) faults.push("is not kebab-case; rename it.");
  const word = forbiddenWord(name);
  if (word) faults.push(`says "${word}"; our word is ${words[word]}.`);
  return faults.map((fault) => ({
    path,
    line: 1,
    message: `The file name ${name} ${fault}`,
  }));
}

type NameFault = { name: string; at: number; fault: string };

function nameFaults(node: Node): NameFault[] {
  const faults: NameFault[] = [];
  for (const { name, start } of publicNames(node)) {
    const word = forbiddenWord(name);
    if (word) faults.push({ name, at: start, fault: `says "${word}"; our word is ${words[word]}.` });
    if (name.endsWith("Impl"))
      faults.push({ name, at: start, fault: "ends in Impl; say what it is (SqliteStore)." });
  }
  if (node.type === "TSInterfaceDeclaration" && /^I(?!Pv)[A-Z][a-z]/.test(node.id.name)) {
    faults.push({
      name: node.id.name,
      at: node.start,
      fault: "starts with I; a port has the plain noun (Store).",
    });
  }
  const declared = declaredName(node);
  if (declared && unitFirst.test(declared)) {
    faults.push({
      name: declared,
      at: node.start,
      fault: "starts with its unit; put the unit last (timeoutMs).",
    });
  }
  return faults;
}

/** The names that other files see, and the names of all types. */
function publicNames(node: Node): { name: string; start: number }[] {
  switch (node.type) {
    case "ExportSpecifier":
      return node.exported.type === "Identifier" ? [node.exported] : [];
    case "VariableDeclaration":
      return node.parent?.type === "ExportNamedDeclaration"
        ? node.declarations.flatMap(({ id }) => boundNames(id))
        : [];
    case "FunctionDeclaration":
      return node.parent?.type === "ExportNamedDeclaration" && node.id ? [node.id] : [];
    case "ClassDeclaration":
    case "TSInterfaceDeclaration":
    case "TSTypeAliasDeclaration":
      return node.id ? [node.id] : [];
    default:
      return [];
  }
}

function boundNames(pattern: Node): { name: string; start: number }[] {
  if (pattern.type === "Identifier") return [pattern];
  if (pattern.type !== "ObjectPattern") return [];
  return pattern.properties.flatMap((property) =>
    property.type === "Property" ? boundNames(property.value) : [],
  );
}

/** The name a variable, parameter or property is declared under. */
function declaredName(node: Node): string | undefined {
  if (node.type === "VariableDeclarator") return node.id.type === "Identifier" ? node.id.name : undefined;
  if (node.type === "TSPropertySignature" || node.type === "PropertyDefinition") {
    return node.key.type === "Identifier" ? node.key.name : undefined;
  }
  if (node.type !== "Identifier" || !node.parent || !("params" in node.parent)) return undefined;
  return (node.parent.params as unknown[]).includes(node) ? node.name : undefined;
}

function forbiddenWord(name: string): string | undefined {
  let rest = name;
  for (const exception of exceptions) rest = rest.replace(exception.name, "");
  const parts = rest.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/([A-Z])([A-Z][a-z])/g, "$1 $2");
  return parts
    .toLowerCase()
    .split(/[\s_.$-]+/)
    .map((word) => word.replace(/s$/, ""))
    .find((word) => Object.hasOwn(words, word));
}
