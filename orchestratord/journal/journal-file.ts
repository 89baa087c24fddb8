// One file of the journal while it is written. It is written from a place that its owner names, so that what
// is under way can be written once more, whole, by somebody in a hurry. Nothing is synced.

import { closeSync, constants, ftruncateSync, openSync, rmSync, write, writeSync } from "node:fs";
import { promisify } from "node:util";

const writeSome = promisify(write);

export class JournalFile {
  readonly path: string;
  readonly #fd: number;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  static create(path: string): JournalFile {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
    return new JournalFile(path, openSync(path, flags, 0o600));
  }

  async write(bytes: Uint8Array, at: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await writeSome(this.#fd, bytes, done, bytes.length - done, at + done);
      done += bytesWritten;
    }
  }

  writeSync(bytes: Uint8Array, at: number): void {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#fd, bytes, done, bytes.length - done, at + done);
    }
  }

  /** Takes back what was written in part. A file without a whole header is none. */
  cut(at: number): void {
    if (at === 0) rmSync(this.path, { force: true });
    else ftruncateSync(this.#fd, at);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
