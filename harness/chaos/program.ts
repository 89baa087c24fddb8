// A daemon as a child process whose words go to a file, so that nobody has to listen to it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { isRunning } from "./processes.ts";

export interface StartedProgram {
  readonly pid: number;
  /** What the pattern found. */
  readonly said: string;
  /** SIGTERM, then patience, then SIGKILL. */
  stop(): Promise<void>;
}

const startedWithinMs = 30_000;
const stoppedWithinMs = 10_000;

export async function startLogged(
  args: readonly string[],
  logFile: string,
  pattern: RegExp,
): Promise<StartedProgram> {
  const log = openSync(logFile, "a", 0o600);
  const child = spawn(process.execPath, args, { stdio: ["ignore", log, log] });
  closeSync(log);
  const exited = once(child, "exit");
  const pid = child.pid as number;
  const killOnExit = () => child.kill("SIGKILL");
  process.once("exit", killOnExit);
  const untilMs = performance.now() + startedWithinMs;
  for (;;) {
    const said = pattern.exec(readFileSync(logFile, "utf8"))?.[1];
    if (said !== undefined) return { pid, said, stop };
    if (!isRunning(pid) || performance.now() > untilMs) {
      child.kill("SIGKILL");
      throw new Error(`A program did not start:\n${readFileSync(logFile, "utf8").slice(-2000)}`);
    }
    await delay(20);
  }

  async function stop(): Promise<void> {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), stoppedWithinMs);
    await exited;
    clearTimeout(timer);
    process.off("exit", killOnExit);
  }
}
