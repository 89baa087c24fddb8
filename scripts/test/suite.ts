// The one shape in which every suite writes its result with --json, so that results can be compared over
// time.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { SuiteReport } from "@llama-orch/contract";

/** What only the suite itself knows; the rest of the shape is the same for all. */
export type SuiteResult = Pick<SuiteReport, "suite" | "ok" | "figures" | "counts" | "failures"> & {
  startedAt: Date;
};

export function writeSuite(path: string, root: string, result: SuiteResult): void {
  const { suite, ok, startedAt, figures, counts, failures } = result;
  const shape: SuiteReport = {
    suite,
    ok,
    commit: commitOf(root),
    node: process.version,
    cores: availableParallelism(),
    startedAt: startedAt.toISOString(),
    durationMs: Date.now() - startedAt.getTime(),
    figures,
    counts,
    failures,
  };
  writeFileSync(path, `${JSON.stringify(shape, null, 2)}\n`);
}

/** With "-dirty" at the end when files differ from the commit; "none" outside of one. */
function commitOf(root: string): string {
  try {
    const args = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"];
    return execFileSync("git", args, {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "none";
  }
}
