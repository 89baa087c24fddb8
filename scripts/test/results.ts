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

/** Results that cannot be read are none: the next run writes them anew. */
export function readResults(root: string): Map<string, FileResult> {
  if (!existsSync(pathIn(root))) return new Map();
  const stored = parsed(readFileSync(pathIn(root), "utf8"));
  return new Map(isStored(stored) ? Object.entries(stored.files) : []);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isStored(value: unknown): value is { files: Record<string, FileResult> } {
  const { format, files } = (value ?? {}) as Record<string, unknown>;
  if (format !== FORMAT || typeof files !== "object" || files === null) return false;
  return Object.values(files).every((file) => Array.isArray(file?.tests));
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
