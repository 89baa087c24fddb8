// The folder of the journal: which files there are, in their order, and the removal of the oldest. It never
// reads them.

import { readdirSync, statfsSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { numberOf } from "./format.ts";

export interface JournalPart {
  readonly path: string;
  readonly number: number;
}

/** Oldest first. */
export function journalFiles(folder: string): JournalPart[] {
  const parts: JournalPart[] = [];
  for (const name of readdirSync(folder)) {
    const number = numberOf(name);
    if (number !== undefined) parts.push({ path: join(folder, name), number });
  }
  return parts.sort((a, b) => a.number - b.number);
}

/** Removes the oldest files until the others hold no more than that; never the one that is `kept`. */
export async function removeOldest(
  folder: string,
  maxBytes: number,
  kept?: { readonly path: string },
): Promise<void> {
  const old = journalFiles(folder).filter(({ path }) => path !== kept?.path);
  const sizes = old.map(({ path }) => statSync(path, { throwIfNoEntry: false })?.size ?? 0);
  let total = sizes.reduce((sum, size) => sum + size, 0);
  for (const [n, { path }] of old.entries()) {
    if (total <= maxBytes) return;
    await rm(path, { force: true });
    total -= sizes[n] as number;
  }
}

export function bytesFree(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
