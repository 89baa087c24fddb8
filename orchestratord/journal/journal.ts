// Writes down what the core decided, behind its back: a record costs one JSON text, and the disk is never
// waited for. Files have no holes: where something could not be written, the next file begins with the whole
// state again, and the numbers of the events tell what is missing. A disk that refuses is said once and tried
// again; the daemon goes on without a journal meanwhile.

import { rmSync } from "node:fs";
import type { Event, Orchestrator } from "@llama-orch/core";
import type { Clock, Timer } from "../clock.ts";
import { isDiskFull } from "../disk-full.ts";
import { coreVersion } from "./core-version.ts";
import { type Decided, entryLine, formatVersion, headerLine } from "./format.ts";
import { type Beginning, JournalWriter } from "./journal-writer.ts";
import { stateBytes } from "./state-bytes.ts";

export interface JournalOptions {
  /** Belongs to the journal alone. */
  readonly folder: string;
  /** Whose decisions these are; its state stands at the beginning of each file. */
  readonly core: Orchestrator;
  readonly clock: Clock;
  readonly seed: number;
  /** Of the daemon. */
  readonly version: string;
  /** Of all files together; 0 keeps no journal, and removes the one that is there. */
  readonly maxBytes: number;
  /** Of one file; a state that is large by comparison makes it larger. */
  readonly fileBytes?: number;
  /** Once per outage, with a sentence. */
  onTrouble(error: Error): void;
}

const mib = 2 ** 20;
const fileBytesMax = 128 * mib;
const flushBytes = 256 * 1024;
const flushMs = 100;
/** More than that waits for no disk. */
const waitingBytesMax = 16 * mib;
/** So much is written for each byte of state, so that states never cost more than decisions. */
const bytesPerStateByte = 4;
/** Writing down a state stops the daemon for some 4 ms per MiB. */
const stateBytesMax = 64 * mib;
/** With so few live tasks a state is small: the moment to begin another file. */
const quietTasks = 100;
const retryMinMs = 1000;
const retryMaxMs = 60_000;

export class Journal {
  readonly #options: JournalOptions;
  readonly #fileBytes: number;
  readonly #writer: JournalWriter;
  /** Whether what happens is written down; during an outage it is not. */
  #isRecording = false;
  /** The disk was too slow: what waits is still written, and then another file begins. */
  #isBehind = false;
  /** Of the file that is written, and what it may grow to. */
  #bytes = 0;
  #fullBytes = 0;
  #seq = 0;
  #coreVersion: string | undefined;
  #flushTimer: Timer | undefined;
  #retryTimer: Timer | undefined;
  #retryMs = retryMinMs;
  #isTold = false;
  #isClosed = false;

  private constructor(options: JournalOptions) {
    this.#options = options;
    this.#fileBytes = options.fileBytes ?? Math.min(fileBytesMax, Math.floor(options.maxBytes / 2));
    this.#writer = new JournalWriter({
      folder: options.folder,
      onDrained: () => this.#drained(),
      onRefused: (error) => this.#outage(`cannot be written (${error.message}). ${adviceFor(error)}`),
    });
  }

  /** Before the first event, since a file begins with the state as it is now. */
  static open(options: JournalOptions): Journal {
    const journal = new Journal(options);
    if (options.maxBytes > 0) journal.#begin();
    else journal.#removeAll();
    return journal;
  }

  /** After the core has decided and before anything is done about it. Never waits, and never throws. */
  readonly record = (event: Event, decided: Decided): void => {
    this.#seq = event.seq;
    if (!this.#isRecording) return;
    this.#bytes += this.#writer.add(entryLine(event, decided));
    if (this.#writer.waitingBytes > waitingBytesMax) this.#fallBehind();
    else if (this.#isFull()) this.#begin();
    if (this.#writer.waitingBytes >= flushBytes) this.#flush();
    else this.#flushSoon();
  };

  /** For the way down after a bug: everything is handed to the system before this returns. */
  flushSync(): void {
    this.#writer.flushSync();
  }

  /** What was recorded so far is written, unless the disk refuses. */
  async flush(): Promise<void> {
    this.#flush();
    await this.#writer.idle();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#isRecording = false;
    this.#retryTimer?.cancel();
    await this.flush();
    this.#writer.close();
  }

  #removeAll(): void {
    const { folder, onTrouble } = this.#options;
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch (cause) {
      onTrouble(new Error(`The journal in ${folder} cannot be removed. Remove it by hand.`, { cause }));
    }
  }

  #isFull(): boolean {
    if (this.#bytes >= this.#fullBytes) return true;
    return this.#bytes >= this.#fullBytes / 2 && this.#options.core.state.jobs.size <= quietTasks;
  }

  /** What happens from now on goes to another file. */
  #begin(): void {
    const { core, maxBytes } = this.#options;
    // A disk that has not even taken the state before gets no other one.
    if (this.#writer.isBeginning) return this.#fallBehind();
    const stateMax = Math.min(stateBytesMax, maxBytes / bytesPerStateByte);
    if (stateBytes(core.state) > stateMax) {
      const tasks = core.state.jobs.size;
      return this.#outage(`has too little room for the state of ${tasks} tasks. Raise journal.max_bytes`);
    }
    const state = core.snapshotText();
    this.#bytes = Buffer.byteLength(state);
    this.#fullBytes = Math.max(this.#fileBytes, this.#bytes * bytesPerStateByte);
    this.#writer.begin(this.#beginningWith(state));
    this.#isRecording = true;
    this.#flushSoon();
  }

  #beginningWith(snapshot: string): Beginning {
    const { core, clock, seed, version, maxBytes } = this.#options;
    const now = { startedAtMs: clock.nowMs(), afterSeq: this.#seq, settings: core.state.settings, snapshot };
    return {
      fileMaxBytes: this.#fullBytes,
      olderMaxBytes: Math.max(0, maxBytes - this.#fullBytes),
      head: () => {
        this.#coreVersion ??= coreVersion();
        return headerLine({ journal: formatVersion, version, core: this.#coreVersion, seed, ...now });
      },
    };
  }

  #flush(): void {
    this.#flushTimer?.cancel();
    this.#flushTimer = undefined;
    this.#writer.flush();
  }

  #flushSoon(): void {
    this.#flushTimer ??= this.#options.clock.after(flushMs, () => this.#flush());
  }

  #fallBehind(): void {
    this.#isRecording = false;
    this.#isBehind = true;
    this.#tell("waits for a slow disk. Put the data directory on a faster one");
    this.#flush();
  }

  #drained(): void {
    if (this.#isRecording) {
      this.#isTold = false;
      this.#retryMs = retryMinMs;
    } else if (this.#isBehind && !this.#isClosed) {
      this.#isBehind = false;
      this.#begin();
    }
  }

  #outage(what: string): void {
    this.#isRecording = false;
    this.#isBehind = false;
    this.#tell(what);
    if (this.#isClosed) return;
    this.#retryTimer?.cancel();
    this.#retryTimer = this.#options.clock.after(this.#retryMs, () => this.#begin());
    this.#retryMs = Math.min(2 * this.#retryMs, retryMaxMs);
  }

  #tell(what: string): void {
    if (!this.#isTold) {
      const says = `The journal ${what}; decisions are left out of it meanwhile, all else goes on.`;
      this.#options.onTrouble(new Error(says));
    }
    this.#isTold = true;
  }
}

/** Some refusals have nothing to do with room; those without a code are our own and are about that. */
function adviceFor(error: NodeJS.ErrnoException): string {
  if (error.code === undefined || isDiskFull(error)) return "Make room on its disk";
  return "See that its folder is one, that this user may write to it, and that nobody else does";
}
