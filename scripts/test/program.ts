// Runs one program with a time limit and leaves nothing of it behind: it gets a process group of its own,
// and the whole group ends with it, with the limit, or with this process. Says what happened and judges
// nothing.

import { type ChildProcess, spawn } from "node:child_process";
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

const running = new Set<number>();

export async function runProgram(
  { root, env }: Place,
  command: readonly [string, ...string[]],
  limitMs: number,
): Promise<Ending> {
  const startedAt = performance.now();
  const [program, ...args] = command;
  const path = join(root, "node_modules", ".bin") + delimiter + (env.PATH ?? "");
  const child = spawn(program, args, {
    cwd: root,
    detached: true,
    // With NODE_TEST_CONTEXT a test file would report to a parent that does not listen.
    env: { ...env, PATH: path, NODE_TEST_CONTEXT: undefined },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const group = child.pid;
  if (group !== undefined) running.add(group);
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
    killGroup(group);
  }, limitMs);
  await ended(child, ending);
  clearTimeout(timer);
  if (!ending.timedOut && group !== undefined) ending.leftRunning = await leftRunningIn(group);
  killGroup(group);
  if (group !== undefined) running.delete(group);
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

/** May never come: a grandchild in a group of its own can hold the pipes open. */
async function closed(child: ChildProcess): Promise<void> {
  const streams = [child.stdout, child.stderr];
  await Promise.all(
    streams.map((stream) => stream?.closed || new Promise((done) => stream?.once("close", done))),
  );
}

/** The processes of a group, where the system tells (Linux does). A killed one needs a moment to be gone. */
async function leftRunningIn(group: number): Promise<string[]> {
  for (const until = performance.now() + GRACE_MS; ; await sleep(20)) {
    const left = processesIn(group);
    if (left.length === 0 || performance.now() > until) return left;
  }
}

function processesIn(group: number): string[] {
  if (process.platform !== "linux") return [];
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      // "pid (name) state parent group …"; the name may itself hold spaces and brackets.
      const [, name, rest = ""] =
        /^\d+ \((.*)\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
      const [state, , groupOf] = rest.split(" ");
      return Number(groupOf) === group && state !== "Z" ? [`${name} (${pid})`] : [];
    } catch {
      return []; // it ended while we looked
    }
  });
}

function killGroup(group: number | undefined): void {
  if (group === undefined) return;
  try {
    process.kill(-group, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

export function killAll(): void {
  for (const group of running) killGroup(group);
}
