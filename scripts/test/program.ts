// Runs one program with a time limit and leaves nothing of it behind: it gets a process group and a mark in
// its environment, and whatever is of that group or carries that mark ends with it, with the limit, or with
// this process. Only a process that gives up both escapes. Says what happened and judges nothing.

import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export type Place = { root: string; env: NodeJS.ProcessEnv };

export type Ending = {
  /** null when a signal ended it. */
  code: number | null;
  signal: string | null;
  timedOut: boolean;
  /** It had ended, and processes it started had not. */
  leftRunning: string[];
  /** stdout and stderr as they came, the end of it when there is much. */
  output: string;
  durationMs: number;
};

const OUTPUT_CHARS_MAX = 20_000;
/** What a killed grandchild may take to be gone. */
const GRACE_MS = 1000;

/** Inherited by everything a program starts. A runner inside of a run adds its mark to those around it.
 * No LLORCH_ name: the configuration warns of those it does not know. */
const MARKS = "TEST_RUN_MARKS";

/** What was started as one: the group that its first process leads, and the mark that all of it carries. */
type Run = { group: number; mark: string };

const running = new Set<Run>();

export async function runProgram(
  { root, env }: Place,
  command: readonly [string, ...string[]],
  limitMs: number,
): Promise<Ending> {
  const startedAt = performance.now();
  const [program, ...args] = command;
  const path = join(root, "node_modules", ".bin") + delimiter + (env.PATH ?? "");
  const mark = randomUUID();
  const child = spawn(program, args, {
    cwd: root,
    detached: true,
    // With NODE_TEST_CONTEXT a test file would report to a parent that does not listen.
    env: { ...env, PATH: path, NODE_TEST_CONTEXT: undefined, [MARKS]: `${env[MARKS] ?? ""} ${mark}`.trim() },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const run = child.pid === undefined ? undefined : { group: child.pid, mark };
  if (run) running.add(run);
  const ending: Ending = {
    code: null,
    signal: null,
    timedOut: false,
    leftRunning: [],
    output: "",
    durationMs: 0,
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      ending.output = (ending.output + text).slice(-OUTPUT_CHARS_MAX);
    });
  }
  const timer = setTimeout(() => {
    ending.timedOut = true;
    if (run) kill(run);
  }, limitMs);
  await ended(child, ending);
  clearTimeout(timer);
  if (run) {
    if (!ending.timedOut) ending.leftRunning = await leftRunningIn(run);
    kill(run);
    running.delete(run);
  }
  await Promise.race([closed(child), sleep(GRACE_MS)]);
  child.stdout.destroy();
  child.stderr.destroy();
  ending.durationMs = performance.now() - startedAt;
  return ending;
}

function ended(child: ChildProcess, ending: Ending): Promise<void> {
  return new Promise((resolve) => {
    child.once("error", (error) => {
      ending.output += `${error.message}\n`;
      resolve();
    });
    child.once("exit", (code, signal) => {
      Object.assign(ending, { code, signal });
      resolve();
    });
  });
}

/** May never come: a grandchild that escaped can hold the pipes open. */
async function closed(child: ChildProcess): Promise<void> {
  const streams = [child.stdout, child.stderr];
  await Promise.all(
    streams.map((stream) => stream?.closed || new Promise((done) => stream?.once("close", done))),
  );
}

/** What still runs, where the system tells (Linux does). A killed process needs a moment to be gone. */
async function leftRunningIn(run: Run): Promise<string[]> {
  for (const until = performance.now() + GRACE_MS; ; await sleep(20)) {
    const left = processesOf(run);
    if (left.length === 0 || performance.now() > until)
      return left.map(({ pid, name }) => `${name} (${pid})`);
  }
}

function processesOf({ group, mark }: Run): { pid: number; name: string }[] {
  if (process.platform !== "linux") return [];
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      // "pid (name) state parent group …"; the name may itself hold spaces and brackets.
      const [, name = "", rest = ""] =
        /^\d+ \((.*)\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
      const [state, , groupOf] = rest.split(" ");
      const isOurs = Number(groupOf) === group || readFileSync(`/proc/${pid}/environ`, "utf8").includes(mark);
      return isOurs && state !== "Z" ? [{ pid: Number(pid), name }] : [];
    } catch {
      return []; // it ended while we looked, or it is somebody else's
    }
  });
}

function kill(run: Run): void {
  killOne(-run.group);
  for (const { pid } of processesOf(run)) killOne(pid);
}

/** A negative number means a whole group. */
function killOne(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

export function killAll(): void {
  for (const run of running) kill(run);
}
