// What one sync costs where the daemons of the benches keep their data: every durable answer waits for one.

import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { percentile } from "./http-load.ts";

const pageBytes = 4096;
const syncs = 300;

/** A page written and synced, the slowest of a hundred. */
export function syncP99Ms(): number {
  const folder = mkdtempSync(join(tmpdir(), "llama-orch-sync-"));
  const file = openSync(join(folder, "pages"), "w");
  try {
    const times = Array.from({ length: syncs }, () => {
      const startMs = performance.now();
      writeSync(file, Buffer.alloc(pageBytes));
      fdatasyncSync(file);
      return performance.now() - startMs;
    });
    return percentile(
      times.sort((a, b) => a - b),
      0.99,
    );
  } finally {
    closeSync(file);
    rmSync(folder, { recursive: true, force: true });
  }
}
