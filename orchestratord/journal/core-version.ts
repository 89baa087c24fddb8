// Which core decided: a digest over its source, so that nobody can forget to count a version on. It says that
// the core is another one, not that it decides otherwise; that is what a replay finds out.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** Reads some fifty files: a matter of milliseconds, but not one of the start. */
export function coreVersion(): string {
  const folder = dirname(fileURLToPath(import.meta.resolve("@llama-orch/core")));
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const hash = createHash("sha256");
  for (const name of names.filter(decides).sort()) {
    hash.update(`${name.replaceAll(sep, "/")}\n`).update(readFileSync(join(folder, name)));
  }
  return hash.digest("hex").slice(0, 16);
}

function decides(name: string): boolean {
  const folders = name.split(sep);
  return name.endsWith(".ts") && !name.endsWith(".test.ts") && !folders.includes("fixtures");
}
