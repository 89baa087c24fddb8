// What lies in a data directory that nobody needs when nothing is going on: half-written files, and frames of
// streams that are over.

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** The newest two segments may be there, with dead frames in them. */
const segmentsMax = 3;

export function litterIn(dataDir: string): string[] {
  const files = readdirSync(dataDir, { recursive: true }).map(String);
  const halves = files.filter((name) => /\.(tmp|part|new)$|(^|\/)tmp/.test(name));
  const segments = files.filter((name) => /^segments\/./.test(name));
  return [
    ...halves.map((name) => `The file ${name} was never finished.`),
    ...(segments.length <= segmentsMax ? [] : [`There are ${segments.length} files of segments.`]),
  ];
}

/** Bytes that the disk holds for it. */
export function bytesIn(dataDir: string): number {
  return readdirSync(dataDir, { recursive: true }).reduce((sum, name) => {
    const stat = statSync(join(dataDir, String(name)), { throwIfNoEntry: false });
    return sum + (stat?.isFile() ? stat.blocks * 512 : 0);
  }, 0);
}
