// Which engine processes this machine runs for us, on disk, so that the next start can end what a crash
// left behind. `{pool_id}.pid` (further replicas: `{pool_id}@{replica_id}.pid`, a character no id has) is
// a plain number for people and other programs; numbers are used again, so what is decided on stands in
// `processes`: for each engine its number with the tick it started at, who supervises, and the last epoch.
// Nothing is killed on the word of a number alone.

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OrchError } from "@llama-orch/contract";
import { type Clock, pause } from "./clock.ts";
import { signalGroup } from "./engine-child.ts";
import { messageOf } from "./fault.ts";
import type { Log } from "./log.ts";
import { startOf } from "./process-identity.ts";

interface Known {
  readonly pid: number;
  /** Undefined where the machine cannot tell; such a process is never ended by its number. */
  readonly start?: string | undefined;
}

interface Entry extends Known {
  readonly pidFile: string;
}

interface Page {
  readonly epoch: number;
  readonly supervisor?: Known;
  readonly engines: readonly Entry[];
}

const killedWithinMs = 5000;
const lookEveryMs = 10;

export class ProcessFiles {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #engines = new Map<number, Entry>();
  #epoch = 0;

  private constructor(folder: string, clock: Clock) {
    this.#folder = folder;
    this.#clock = clock;
  }

  /** Ends what an earlier run left behind. @throws OrchError when that run is not over */
  static async open(folder: string, clock: Clock, log: Log): Promise<ProcessFiles> {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const files = new ProcessFiles(folder, clock);
    const page = readPage(join(folder, "processes"), log);
    refuseSecond(page);
    files.#epoch = page.epoch;
    await Promise.all(page.engines.map((entry) => files.#endLeftover(entry, log)));
    files.#write();
    return files;
  }

  /**
   * Grows with every call, also from one run to the next and when the wall clock jumps back: it is written
   * down with the process that carries it.
   */
  nextEpoch(): number {
    this.#epoch = Math.max(this.#epoch + 1, Math.floor(this.#clock.wallMs()));
    return this.#epoch;
  }

  add(pid: number, poolId: string, replicaId: string): void {
    const pidFile = replicaId === "r0" ? `${poolId}.pid` : `${poolId}@${replicaId}.pid`;
    this.#engines.set(pid, { pid, start: startOf(pid), pidFile });
    replaceFile(join(this.#folder, pidFile), `${pid}\n`);
    this.#write();
  }

  /** The process is gone. */
  remove(pid: number): void {
    const entry = this.#engines.get(pid);
    if (entry === undefined) return;
    this.#engines.delete(pid);
    const other = [...this.#engines.values()].find(({ pidFile }) => pidFile === entry.pidFile);
    if (other === undefined) this.#forgetPidFile(entry);
    else replaceFile(join(this.#folder, other.pidFile), `${other.pid}\n`);
    this.#write();
  }

  /** For the last moment of a program that has no time to wait. */
  killAll(): void {
    for (const pid of this.#engines.keys()) signalGroup(pid, "SIGKILL");
  }

  async #endLeftover(entry: Entry, log: Log): Promise<void> {
    const { pid } = entry;
    if (isRunning(entry)) {
      signalGroup(pid, "SIGKILL");
      const startMs = this.#clock.nowMs();
      while (isRunning(entry) && this.#clock.nowMs() - startMs < killedWithinMs) {
        await pause(this.#clock, lookEveryMs, new AbortController().signal);
      }
      const gone = !isRunning(entry);
      // One that does not even obey the kernel is tried again at the next start.
      if (!gone) this.#engines.set(pid, entry);
      const human = gone
        ? `An earlier run left engine process ${pid} behind; it was ended.`
        : `Engine process ${pid} of an earlier run cannot be killed; its memory is still taken.`;
      log({ level: gone ? "warn" : "error", event: "engine_leftover_ended", human });
      if (!gone) return;
    }
    this.#forgetPidFile(entry);
  }

  /** Unless it names another process by now. */
  #forgetPidFile({ pid, pidFile }: Entry): void {
    const path = join(this.#folder, pidFile);
    if (readText(path)?.trim() === String(pid)) rmSync(path, { force: true });
  }

  #write(): void {
    const engines = [...this.#engines.values()];
    const supervisor = { pid: process.pid, start: startOf(process.pid) };
    const page: Page = { epoch: this.#epoch, ...(engines.length > 0 && { supervisor }), engines };
    replaceFile(join(this.#folder, "processes"), `${JSON.stringify(page, null, 2)}\n`);
  }
}

function refuseSecond({ supervisor }: Page): void {
  if (supervisor === undefined || !isRunning(supervisor)) return;
  const message = `Process ${supervisor.pid} supervises the engines here already; stop it or use another data directory.`;
  throw new OrchError("INTERNAL", message);
}

function isRunning({ pid, start }: Known): boolean {
  return start !== undefined && startOf(pid) === start;
}

function readPage(path: string, log: Log): Page {
  const text = readText(path);
  if (text === undefined) return { epoch: 0, engines: [] };
  try {
    return parsePage(JSON.parse(text));
  } catch (error) {
    const human = `${path} is damaged (${messageOf(error)}); engines of an earlier run, if any, are not looked for.`;
    log({ level: "warn", event: "engine_record_damaged", human });
    return { epoch: 0, engines: [] };
  }
}

function parsePage(value: unknown): Page {
  const page = value as Page;
  const known = (one: Known) => Number.isSafeInteger(one.pid) && one.pid > 1;
  const good =
    Number.isSafeInteger(page.epoch) &&
    page.engines.every((entry) => known(entry) && /^[\w.:@-]+\.pid$/.test(entry.pidFile)) &&
    (page.supervisor === undefined || known(page.supervisor));
  if (!good) throw new Error("it does not hold what is written there");
  return page;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
