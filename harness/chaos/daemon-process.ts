// A daemon as a process that is killed and comes back at the same address, and what each of its lives was
// like. Its words go to a file, so that nobody has to listen to it.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, fstatSync, openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { heldBytesOf, inspectable } from "./held-bytes.ts";
import type { CommitDelay } from "./orchestrator.ts";
import { ask } from "./wire.ts";

export interface DaemonProgram {
  readonly url: string;
  /** In front of everything: where it is to run. */
  readonly prefix?: readonly string[];
  /** What Node is to run. */
  readonly args: readonly string[];
  /** Its standard output and error. */
  readonly outFile: string;
  /** Its log lines, where they go elsewhere. */
  readonly logFile?: string;
  /** With what it leaves when it is asked to before it is up; 0 otherwise. */
  readonly interruptedCode?: number;
  /** It takes messages. */
  readonly hasChannel?: boolean;
  /** While it is still there and about to be ended. */
  readonly beforeEnd?: () => void;
}

export interface DaemonLife {
  readonly pid: number;
  readonly spawnedAtMs: number;
  /** Where its words, and its log lines, begin in their files. */
  readonly outFrom: number;
  readonly logFrom: number;
  /** From the birth of the process to its first answer; absent while there was none. */
  recoveryMs?: number;
}

const shiftedClock = join(import.meta.dirname, "shifted-clock.ts");
const servesWithinMs = 30_000;
const lookEveryMs = 10;
const leavesWithinMs = 15_000;

export class DaemonProcess {
  readonly lives: DaemonLife[] = [];
  /** Rejects when the process ends and nobody wanted that. */
  readonly fallen: Promise<never>;
  readonly #program: DaemonProgram;
  readonly #fall: (error: Error) => void;
  #child: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();
  #isDue = false;

  constructor(program: DaemonProgram) {
    this.#program = program;
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {
      // Who is not listening just then asks later.
    });
    this.fallen = promise;
    this.#fall = reject;
  }

  /** The life of now, or the last one. */
  get life(): DaemonLife {
    return this.lives.at(-1) as DaemonLife;
  }

  get isThere(): boolean {
    return this.#child !== undefined;
  }

  /** Resolves once it answers. @param shiftMs by which its wall clock is wrong */
  async start(shiftMs = 0): Promise<void> {
    const { prefix = [], args, outFile, logFile = outFile, hasChannel = false } = this.#program;
    const clock = shiftMs === 0 ? [] : ["--import", `${shiftedClock}?ms=${shiftMs}`];
    const [program, ...rest] = [...prefix, process.execPath, inspectable, ...clock, ...args] as [
      string,
      ...string[],
    ];
    const out = openSync(outFile, "a", 0o600);
    const outFrom = fstatSync(out).size;
    const logFrom = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
    const spawnedAtMs = performance.now();
    const child = spawn(program, rest, {
      stdio: hasChannel ? ["ignore", out, out, "ipc"] : ["ignore", out, out],
    });
    closeSync(out);
    const killOnExit = () => child.kill("SIGKILL");
    process.once("exit", killOnExit);
    child.once("exit", (code, signal) => {
      process.off("exit", killOnExit);
      this.#child = undefined;
      if (!this.#isDue)
        this.#fall(new Error(`The daemon left by itself, with ${code ?? signal}:${this.#lastWords()}`));
    });
    this.#isDue = false;
    this.#child = child;
    this.#exited = once(child, "exit");
    this.lives.push({ pid: child.pid as number, spawnedAtMs, outFrom, logFrom });
    await this.#serving(this.life);
  }

  /** kill -9 */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGTERM; says what is wrong with how it went, if anything. */
  async leave(): Promise<string | undefined> {
    const child = this.#child;
    if (child === undefined) return undefined;
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill("SIGKILL");
    }, leavesWithinMs);
    await this.#end("SIGTERM");
    clearTimeout(timer);
    if (isLate) return `The daemon had not left ${leavesWithinMs} ms after SIGTERM.`;
    const { exitCode } = child;
    if (exitCode === 0 || (exitCode !== null && exitCode === this.#program.interruptedCode)) return undefined;
    return `The daemon left with ${exitCode ?? child.signalCode}.`;
  }

  signal(name: "SIGSTOP" | "SIGCONT"): boolean {
    return this.#child?.kill(name) ?? false;
  }

  /** From now on every commit of this life takes so much longer, where it takes messages. */
  slowCommits(commitMs: number): void {
    // Nobody is there to be slow, or it is just going.
    if (this.#child?.connected) this.#child.send({ commitMs } satisfies CommitDelay, () => {});
  }

  /** What it has in use and not only in reserve. */
  heldBytes(): Promise<number> {
    const { pid, outFrom } = this.life;
    return heldBytesOf(pid, this.#program.outFile, outFrom);
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.#isDue = true;
    if (this.#child !== undefined) this.#program.beforeEnd?.();
    this.#child?.kill(signal);
    await this.#exited;
  }

  #lastWords(): string {
    const words = readFileSync(this.#program.outFile).subarray(this.life.outFrom);
    return `\n${words.toString("utf8").slice(-2000)}`;
  }

  async #serving(life: DaemonLife): Promise<void> {
    const untilMs = life.spawnedAtMs + servesWithinMs;
    while (this.#child !== undefined && performance.now() < untilMs) {
      const answered = await ask("GET", `${this.#program.url}/v2/pools`).then(
        ({ status }) => status === 200,
        // It does not listen yet.
        () => false,
      );
      if (answered) {
        life.recoveryMs = performance.now() - life.spawnedAtMs;
        return;
      }
      await delay(lookEveryMs);
    }
    await this.kill();
    throw new Error(`The daemon did not start within ${servesWithinMs} ms:${this.#lastWords()}`);
  }
}
