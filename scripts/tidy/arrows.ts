// Who may import whom. The table below is the drawing of the house as data; the rule holds every import
// against it, against the doors of the package that is entered and against the dependencies that the
// importer declares.

import { isBuiltin } from "node:module";
import { posix } from "node:path";
import type { Import, Module } from "./syntax.ts";
import {
  doorsOf,
  folderOf,
  isProduct,
  isTest,
  isTestSupport,
  type Problem,
  parseDoor,
  roomOf,
  type Tree,
} from "./tree.ts";

/** Room → the rooms it may import; "engines/adapter" means by that door only, "*" means any. */
const arrows: Record<string, readonly string[]> = {
  contract: [],
  core: ["contract"],
  engines: ["contract"],
  catalog: ["contract"],
  policy: ["contract"],
  sdk: ["contract"],
  gateway: ["contract", "sdk"],
  dashboard: ["contract", "sdk"],
  orchestratord: ["contract", "core", "engines/adapter", "catalog", "policy"],
  "pool-managerd": ["contract", "engines/provision", "catalog"],
  // `llorch up` starts both daemons and the gateway in one process.
  cli: ["contract", "sdk", "orchestratord", "pool-managerd", "gateway"],
  harness: ["*"],
  scripts: ["*"],
};

/** Doors that tests and their fixtures alone may enter besides. */
const testArrows: Record<string, readonly string[]> = {
  orchestratord: ["engines/fake", "engines/fixtures/proxy", "engines/fixtures/self-signed"],
};

export function checkArrows(tree: Tree): Problem[] {
  const problems = checkRooms(tree);
  for (const module of tree.modules.values()) {
    if (arrows[roomOf(module.path)] === undefined) continue;
    for (const item of module.imports) {
      const message = faultOf(tree, module, item);
      if (message) problems.push({ path: module.path, line: item.line, message });
    }
  }
  return problems;
}

function checkRooms(tree: Tree): Problem[] {
  const problems: Problem[] = [];
  const workspaces = tree.manifests.get("")?.workspaces ?? [];
  const rooms = new Map([...tree.modules.keys()].map((path) => [roomOf(path), path]));
  for (const [room, path] of rooms) {
    if (room === "" || room.startsWith(".") || room === "scripts" || room === "models") continue;
    if (arrows[room] === undefined) {
      const message = `No arrow is drawn for ${room}/; add a row for it to the table in scripts/tidy/arrows.ts.`;
      problems.push({ path, line: 1, message });
    } else if (tree.manifests.get(room)?.name !== `@llama-orch/${room}` || !workspaces.includes(room)) {
      const message = `${room}/ is no workspace yet; give it a package.json with the name @llama-orch/${room} and list it in the root package.json.`;
      problems.push({ path, line: 1, message });
    }
  }
  return problems;
}

function faultOf(tree: Tree, module: Module, { specifier }: Import): string | undefined {
  if (specifier.startsWith(".")) return relativeFault(module.path, specifier);
  const door = parseDoor(specifier);
  const declared = declaredBy(tree, module.path);
  if (!door) {
    if (isBuiltin(specifier)) return undefined;
    const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
    if (declared.has(name)) return undefined;
    return `${name} is not declared; add it to the dependencies of ${manifestPath(module.path)}.`;
  }
  const from = roomOf(module.path);
  const manifest = tree.manifests.get(door.room);
  if (!manifest) return `There is no workspace ${door.room}/; correct the name in "${specifier}".`;
  if (!doorsOf(manifest).has(door.door)) {
    return `"${specifier}" is not a door; import what the exports of ${door.room}/package.json name.`;
  }
  if (door.room === from) return undefined;
  if (!mayImport(module.path, door.room, door.door)) return arrowFault(from, door.room);
  // The root declares every workspace by listing it, so scripts need no second line.
  if (from === "scripts" || declared.has(`@llama-orch/${door.room}`)) return undefined;
  return `@llama-orch/${door.room} is not declared; add it to the dependencies of ${from}/package.json.`;
}

function relativeFault(path: string, specifier: string): string | undefined {
  const target = posix.join(folderOf(path), specifier);
  const room = roomOf(target);
  // The scripts are no package with a door; the harness shares their way of reporting.
  if (roomOf(path) === "harness" && room === "scripts") return undefined;
  if (room !== roomOf(path)) {
    return `"${specifier}" crosses the border of ${roomOf(path)}/; enter another workspace by its door, @llama-orch/<name>.`;
  }
  if (isProduct(path) && !isProduct(target) && room !== "harness" && room !== "scripts") {
    return `"${specifier}" is there for tests only; move what the product needs out of it.`;
  }
  return undefined;
}

function mayImport(path: string, room: string, door: string): boolean {
  const from = roomOf(path);
  const besides = isProduct(path) ? [] : (testArrows[from] ?? []);
  const allowed = [...(arrows[from] ?? []), ...besides];
  return allowed.includes("*") || allowed.includes(room) || allowed.includes(`${room}${door.slice(1)}`);
}

function arrowFault(from: string, room: string): string {
  const allowed = arrows[from] ?? [];
  const byDoor = allowed.find((entry) => entry.startsWith(`${room}/`));
  if (byDoor) return `${from}/ enters ${room}/ only by @llama-orch/${byDoor}; import that door.`;
  const list = allowed.length === 0 ? "no other workspace" : `only ${allowed.join(", ")}`;
  return `${from}/ must not import ${room}/; it may import ${list}. Move the shared words to contract/ or pass a port.`;
}

function declaredBy(tree: Tree, path: string): Set<string> {
  const room = roomOf(path);
  const root = tree.manifests.get("") ?? {};
  const own = room === "scripts" ? root : (tree.manifests.get(room) ?? {});
  const isTool = room === "scripts" || room === "harness" || path.includes(".config.");
  const forTests = isTool || isTest(path) || isTestSupport(path);
  return new Set([
    ...namesIn(own.dependencies, own.peerDependencies, own.optionalDependencies),
    // A package that is never published may use its development dependencies anywhere.
    ...(forTests || own.private ? namesIn(own.devDependencies) : []),
    ...(forTests ? namesIn(root.devDependencies) : []),
  ]);
}

function namesIn(...tables: (Record<string, string> | undefined)[]): string[] {
  return tables.flatMap((table) => Object.keys(table ?? {}));
}

function manifestPath(path: string): string {
  return roomOf(path) === "scripts" ? "the root package.json" : `${roomOf(path)}/package.json`;
}
