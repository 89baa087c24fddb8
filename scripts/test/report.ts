// What `npm test` prints: a line per step, a line per workspace, every failure in full, and the closing
// lines, of which others may parse the last. Returns text and prints nothing.

import type { FileResult } from "./results.ts";
import type { FileRun } from "./test-file.ts";

export type Counts = { passed: number; failed: number; skipped: number };
export type StepRun = { name: string; passed: boolean; durationMs: number; output: string };

export function countAll(steps: readonly StepRun[], runs: readonly FileRun[]): Counts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { passed } of steps) counts[passed ? "passed" : "failed"] += 1;
  for (const { passed, failed, skipped } of runs.map(countFile)) {
    counts.passed += passed;
    counts.failed += failed;
    counts.skipped += skipped;
  }
  return counts;
}

/** Failures count as they are printed: a group is no test of its own, unless one of its hooks failed. */
function countFile({ result, failures }: FileRun): Counts {
  const countOf = (outcome: string) =>
    result.tests.filter((test) => isCounted(test) && test.outcome === outcome).length;
  return { passed: countOf("passed"), failed: failures.length, skipped: countOf("skipped") };
}

/** A skipped group hides its tests, so it counts as one. */
function isCounted({ group, outcome }: FileResult["tests"][number]): boolean {
  return !group || outcome === "skipped";
}

/** The last line is the same in every run; what was skipped is said on a line of its own before it. */
export function closingLines({ passed, failed, skipped }: Counts): string[] {
  return [...(skipped > 0 ? [`${skipped} skipped`] : []), `${passed} passed, ${failed} failed`];
}

/** Green only when something ran and nothing failed. */
export function isGreen({ passed, failed }: Counts): boolean {
  return failed === 0 && passed > 0;
}

export function stepLine({ name, passed, durationMs }: StepRun): string {
  return `${name.padEnd(16)} ${passed ? "passed" : "FAILED"}, ${seconds(durationMs)}`;
}

/** The time is what the files took together, not by the clock on the wall. */
export function workspaceLines(runs: readonly FileRun[]): string[] {
  const byWorkspace = Map.groupBy(runs, ({ file }) => file.split("/")[0] ?? file);
  return [...byWorkspace].map(([workspace, own]) => {
    const counts = countAll([], own);
    const tookMs = own.reduce((sum, { result }) => sum + result.durationMs, 0);
    const files = own.length === 1 ? "1 file" : `${own.length} files`;
    const ended = closingLines(counts).reverse().join(", ");
    return `${workspace.padEnd(16)} ${ended} in ${files}, ${seconds(tookMs)}`;
  });
}

export function stepFailure({ name, output }: StepRun): string {
  return `\nFAILED ${name}\n${indent(output.trim() || "It printed nothing.")}`;
}

export function fileFailure({ file, failures, output }: FileRun): string {
  const blocks = failures.map(({ title, error }) => `\nFAILED ${file}: ${title}\n${indent(error)}`);
  const printed = output.trim();
  if (printed !== "") blocks.push(`\n       ${file} printed:\n${indent(printed)}`);
  return blocks.join("\n");
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, "       ");
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
