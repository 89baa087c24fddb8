// Log lines on their way into a pipe or a socket whose reader may be slow, or may never read again. Memory
// is bounded, what finds no room is counted and said, and nobody waits for that reader but the end, briefly.

import { writeSync } from "node:fs";
import { Socket } from "node:net";

export interface PipeLinesOptions {
  /** Waiting characters beyond which lines are left out. */
  readonly waitingMax: number;
  /** How long the end waits for the reader. */
  readonly endMs: number;
  /** The line that is written when the reader is back. */
  readonly leftOut: (lines: number) => string;
}

export class PipeLines {
  readonly #fd: number;
  readonly #socket: Socket;
  readonly #options: PipeLinesOptions;
  #waiting = "";
  #leftOut = 0;
  #onIdle: (() => void) | undefined;
  /** One write goes at a time; what comes meanwhile goes with the next. */
  #busy = false;
  #gone = false;

  constructor(fd: number, options: PipeLinesOptions) {
    this.#options = options;
    this.#fd = fd;
    this.#socket = new Socket({ fd, readable: false, writable: true });
    // A log that nobody reads keeps no process alive, and is no reason to stop serving.
    this.#socket.unref();
    this.#socket.on("error", () => this.#lose());
    process.on("exit", this.#onExit);
  }

  write(line: string): void {
    if (this.#gone) return;
    if (this.#waiting.length + line.length > this.#options.waitingMax) {
      this.#leftOut++;
      return;
    }
    this.#waiting += line;
    if (this.#busy) return;
    this.#busy = true;
    // Lines of one turn go together.
    setImmediate(() => this.#send());
  }

  /** Resolves when everything is out, or its reader has taken too long. Nothing can be written afterwards. */
  async end(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onIdle = resolve;
    if (!this.#busy) resolve();
    const patience = setTimeout(resolve, this.#options.endMs);
    await promise;
    clearTimeout(patience);
    this.#lose();
  }

  #send(): void {
    const text = this.#waiting;
    this.#waiting = "";
    this.#socket.write(text, () => this.#sent());
  }

  #sent(): void {
    if (this.#gone) return;
    if (this.#leftOut > 0) {
      this.#waiting += this.#options.leftOut(this.#leftOut);
      this.#leftOut = 0;
    }
    if (this.#waiting !== "") return this.#send();
    this.#busy = false;
    this.#onIdle?.();
  }

  /** A process that leaves by a bug has its last words still here; a reader that is behind misses them. */
  readonly #onExit = (): void => {
    if (this.#socket.writableLength > 0 || this.#waiting === "") return;
    try {
      writeSync(this.#fd, this.#waiting);
    } catch {
      // Its reader has gone or is behind; nobody is left to be told.
    }
  };

  #lose(): void {
    process.off("exit", this.#onExit);
    this.#gone = true;
    this.#waiting = "";
    this.#onIdle?.();
    this.#socket.destroy();
  }
}
