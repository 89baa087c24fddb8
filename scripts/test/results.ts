// What the last run of every test file said: .results/tests.json, kept by `npm test`, read by `npm run
// trace`. A narrowed run replaces only what it ran; files that are gone are forgotten.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

export type Outcome = "passed" | "failed" | "skipped";
/** A group is a describe(): its tests are counted, it is not. */
export type TestResult = { title: string; outcome: Outcome; durationMs: number; group?: true };
/** `digest` is of the test file as it was when it ran. */
export type FileResult = { digest: string; startedAt: string; durationMs: number; tests: TestResult[] };

/** The title under which a file fails as a whole: it crashed, hung or left something running. */
export const WHOLE_FILE = "(the file itself)";

const FORMAT = 1;

export function readResults(root: string): Map<string, FileResult> {
  if (!existsSync(pathIn(root))) return new Map();
  const stored = JSON.parse(readFileSync(pathIn(root), "utf8"));
  return new Map(stored.format === FORMAT ? Object.entries(stored.files) : []);
}

export function mergeResults(root: string, ran: ReadonlyMap<string, FileResult>): void {
  const merged = new Map([...readResults(root), ...ran]);
  const kept = [...merged]
    .filter(([path]) => existsSync(join(root, path)))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const path = pathIn(root);
  mkdirSync(dirname(path), { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  writeFileSync(
    unfinished,
    `${JSON.stringify({ format: FORMAT, files: Object.fromEntries(kept) }, null, 1)}\n`,
  );
  renameSync(unfinished, path);
}

export function digestOf(text: string | Uint8Array): string {
  return createHash("sha256").update(text).digest("hex");
}

function pathIn(root: string): string {
  return join(root, ".results", "tests.json");
}
