// The result of a simulation in the shape that every suite writes.

import { execFileSync } from "node:child_process";
import { availableParallelism } from "node:os";
import type { Figure, SuiteReport } from "@llama-orch/contract";
import type { Verdict } from "./simulate.ts";
import { sum } from "./tally.ts";

export interface Findings {
  readonly startedAt: Date;
  readonly verdicts: readonly Verdict[];
  readonly figures: readonly Figure[];
}

export function suiteReport({ startedAt, verdicts, figures }: Findings): SuiteReport {
  const failures = verdicts.filter(({ violation }) => violation !== undefined);
  return {
    suite: "sim",
    ok: failures.length === 0 && figures.every(({ met }) => met !== false),
    commit: execFileSync("git", ["rev-parse", "HEAD"], { encoding: "utf8" }).trim(),
    node: process.version,
    cores: availableParallelism(),
    startedAt: startedAt.toISOString(),
    durationMs: Date.now() - startedAt.getTime(),
    figures: [...figures],
    counts: {
      seeds: verdicts.length,
      tasks: verdicts.reduce((total, { accepted }) => total + accepted, 0),
      faults: verdicts.reduce((total, { faults }) => total + sum(faults), 0),
      violations: failures.length,
    },
    failures: failures.map(({ seed, violation }) => ({ seed, message: violation?.message })),
  };
}
