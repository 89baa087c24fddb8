// One run of steps and test files: a few lanes take the work one after the other, the long steps first, so
// that two cores stay busy; a step that judges the results comes last. Prints as results come, the failures
// last, and keeps the results of the files for `npm run trace`.

import { type Place, runProgram } from "./program.ts";
import {
  type Counts,
  countAll,
  fileFailure,
  type StepRun,
  stepFailure,
  stepLine,
  workspaceLines,
} from "./report.ts";
import { mergeResults } from "./results.ts";
import { type Failure, type FileRun, runTestFile } from "./test-file.ts";

export type Step = {
  name: string;
  command: readonly [string, ...string[]];
  /** It judges the results of the tests, so it starts when they are kept. */
  afterTests?: true;
};
export type Work = {
  place: Place;
  steps: readonly Step[];
  files: readonly string[];
  lanes: number;
  print: (text: string) => void;
};

const STEP_LIMIT_MS = 180_000;

export async function runAll({ place, steps, files, lanes, print }: Work) {
  const stepRuns: StepRun[] = [];
  const fileRuns: FileRun[] = [];
  const stepJob = (step: Step) => async () => {
    const run = await runStep(place, step);
    stepRuns.push(run);
    print(stepLine(run));
  };
  const fileJob = (file: string) => async () => {
    fileRuns.push(await runTestFile(place, file));
  };
  const besideTests = steps.filter(({ afterTests }) => !afterTests);
  await inLanes(lanes, [...besideTests.map(stepJob), ...files.map(fileJob)]);
  fileRuns.sort((a, b) => (a.file < b.file ? -1 : 1));
  mergeResults(place.root, new Map(fileRuns.map(({ file, result }) => [file, result])));
  await inLanes(lanes, steps.filter(({ afterTests }) => afterTests).map(stepJob));

  for (const line of workspaceLines(fileRuns)) print(line);
  const failedSteps = stepRuns.filter(({ passed }) => !passed);
  const failedFiles = fileRuns.filter(({ failures }) => failures.length > 0);
  for (const text of [...failedSteps.map(stepFailure), ...failedFiles.map(fileFailure)]) print(text);
  const failures: Failure[] = [
    ...failedSteps.map(({ name, output }) => ({ title: name, error: output })),
    ...failedFiles.flatMap((run) => run.failures),
  ];
  const counts: Counts = countAll(stepRuns, fileRuns);
  return { counts, failures };
}

/** The lanes share one iterator, so each job is taken once. */
async function inLanes(lanes: number, jobs: readonly (() => Promise<void>)[]): Promise<void> {
  const waiting = jobs.values();
  const drain = async () => {
    for (const job of waiting) await job();
  };
  await Promise.all(Array.from({ length: lanes }, drain));
}

async function runStep(place: Place, { name, command }: Step): Promise<StepRun> {
  const { code, timedOut, output, durationMs } = await runProgram(place, command, STEP_LIMIT_MS);
  const late = timedOut ? `\nIt was still running after ${STEP_LIMIT_MS / 1000} s and was killed.` : "";
  return { name, passed: code === 0, durationMs, output: output + late };
}
