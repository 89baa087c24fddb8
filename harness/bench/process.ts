// Programs that are measured from outside, each a process of its own with what it costs.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

export interface Program {
  readonly url: string;
  readonly pid: number;
  /** From the start of the process to the line that says where it listens. */
  readonly startedInMs: number;
  /** Processor time so far. */
  cpuMs(): number;
  residentBytes(): number;
  stop(): Promise<void>;
}

export interface ProgramOptions {
  /** With the arguments of Node. */
  readonly args: readonly string[];
  /** Finds the address in a line of standard output or standard error. */
  readonly listening: RegExp;
}

export async function startProgram({ args, listening }: ProgramOptions): Promise<Program> {
  const startMs = performance.now();
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const url = await addressOf(child, listening);
  const pid = child.pid as number;
  const exited = once(child, "exit");
  return {
    url,
    pid,
    startedInMs: performance.now() - startMs,
    cpuMs: () => cpuMsOf(pid),
    residentBytes: () => residentBytesOf(pid),
    async stop() {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await exited;
      clearTimeout(timer);
    },
  };
}

function addressOf(child: ChildProcess, listening: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const said: string[] = [];
    for (const input of [child.stdout, child.stderr]) {
      if (input === null) continue;
      const lines = createInterface({ input });
      lines.on("line", (line) => {
        const found = listening.exec(line)?.[1];
        if (found === undefined) return void (said.length < 50 && said.push(line));
        // What it says from now on is read and costs nothing, so that the program is what is measured.
        lines.close();
        input.resume();
        resolve(found);
      });
    }
    child.once("error", reject);
    child.once("exit", () => reject(new Error(`A program ended before it listened:\n${said.join("\n")}`)));
  });
}

/** Linux counts processor time in hundredths of a second, whatever its clock. */
const msPerTick = 10;

function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return msPerTick * (Number(fields[11]) + Number(fields[12]));
}

function residentBytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return 1024 * Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1]);
}
