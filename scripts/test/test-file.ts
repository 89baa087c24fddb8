// Runs one test file in a process of its own and judges it. A file is only as good as its ending: one that
// crashes, hangs, exits early, leaves a process running or has no test has failed, whatever its tests said.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Ending, type Place, runProgram } from "./program.ts";
import type { Line } from "./reporter.ts";
import { digestOf, type FileResult, type TestResult, WHOLE_FILE } from "./results.ts";

const FILE_LIMIT_MS = 60_000;

export type Failure = { file?: string; title: string; error: string };
export type FileRun = { file: string; result: FileResult; failures: Failure[]; output: string };

const REPORTER = fileURLToPath(new URL("./reporter.ts", import.meta.url));

export async function runTestFile(place: Place, file: string, limitMs = FILE_LIMIT_MS): Promise<FileRun> {
  const startedAt = new Date().toISOString();
  const digest = digestOf(readFileSync(join(place.root, file)));
  const scratch = mkdtempSync(join(tmpdir(), "llama-orch-test-"));
  try {
    const events = join(scratch, "events");
    const report = [`--test-reporter=${REPORTER}`, `--test-reporter-destination=${events}`];
    const ending = await runProgram(place, [process.execPath, ...report, file], limitMs);
    return judge(file, readLines(events), ending, { digest, startedAt, limitMs });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function readLines(path: string): Line[] {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  // A killed process may leave half a line at the end.
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

function judge(
  file: string,
  lines: readonly Line[],
  ending: Ending,
  { digest, startedAt, limitMs }: { digest: string; startedAt: string; limitMs: number },
): FileRun {
  const results = lines.filter((line) => line.event === "result");
  const tests = results.map(
    ({ title, outcome, durationMs, group }): TestResult => ({
      title,
      outcome,
      durationMs,
      ...(group && { group }),
    }),
  );
  const failures = results
    // A group whose tests failed says nothing new; one whose hook failed does, and counts as a test.
    .filter(
      ({ outcome, group, error }) => outcome === "failed" && !(group && error && isAboutSubtests(error)),
    )
    .map(({ within, title, error = "" }) => ({ file, title: [...within, title].join(" > "), error }));
  const problem = problemOf(lines, ending, limitMs, failures.length > 0);
  const said = lines.filter((line) => line.event === "said").map(({ text }) => `${text}\n`);
  if (problem !== undefined) {
    failures.push({ file, title: WHOLE_FILE, error: [problem, ...said].join("\n").trimEnd() });
    tests.push({ title: WHOLE_FILE, outcome: "failed", durationMs: ending.durationMs });
  }
  const result = { digest, startedAt, durationMs: ending.durationMs, tests };
  const output = problem === undefined ? ending.output + said.join("") : ending.output;
  return { file, result, failures, output };
}

function isAboutSubtests(error: string): boolean {
  return /^\d+ subtests? failed/.test(error);
}

/** What is wrong with the way the file ended, beside the tests that failed. */
function problemOf(
  lines: readonly Line[],
  ending: Ending,
  limitMs: number,
  hasFailures: boolean,
): string | undefined {
  const unfinished = unfinishedIn(lines).map((title) => `"${title}"`);
  if (ending.timedOut) {
    const why =
      unfinished.length > 0
        ? `${unfinished.join(", ")} had not ended.`
        : "Its tests had ended, but something they left behind still ran: an open server, socket, timer or process.";
    return `The file was still running after ${limitMs / 1000} s and was killed. ${why}`;
  }
  const how = ending.signal === null ? `exit code ${ending.code}` : `signal ${ending.signal}`;
  if (!lines.some(({ event }) => event === "end")) {
    if (lines.length === 0 && ending.code === 0)
      return "It has no test, or its process ended before any result.";
    const during = unfinished.length > 0 ? ` during ${unfinished.join(", ")}` : "";
    return `The process ended${during} with ${how} before all tests had a result.`;
  }
  if (ending.code !== 0 && !hasFailures) return `Its tests passed, but the process ended with ${how}.`;
  if (ending.leftRunning.length === 0) return undefined;
  return `Its tests left processes running, which were killed: ${ending.leftRunning.join(", ")}.`;
}

function unfinishedIn(lines: readonly Line[]): string[] {
  const unfinished: string[] = [];
  for (const line of lines) {
    if (line.event === "begun") unfinished.push(line.title);
    else if (line.event === "done") unfinished.splice(unfinished.lastIndexOf(line.title), 1);
  }
  return unfinished;
}
