// A log of lines in one file that is appended to. At 8 MiB it becomes `{path}.1`, which replaces the one
// before, so a log keeps at most 16 MiB. When the disk is slower than what writes, lines are left out and
// counted; nobody waits for a log.

import { appendFile, rename, stat } from "node:fs/promises";

const defaultMaxBytes = 8 << 20;
const waitingCharsMax = 1 << 20;

export class LogFile {
  readonly path: string;
  readonly #onError: (error: unknown) => void;
  readonly #maxBytes: number;
  #waiting: string[] = [];
  #waitingChars = 0;
  #leftOut = 0;
  #bytes: number | undefined;
  #failing = false;
  #writing: Promise<void> | undefined;

  /** `onError` hears of the first failure in a row; what could not be written is lost. */
  constructor(path: string, onError: (error: unknown) => void, maxBytes = defaultMaxBytes) {
    this.path = path;
    this.#onError = onError;
    this.#maxBytes = maxBytes;
  }

  write(line: string): void {
    if (this.#waitingChars > waitingCharsMax) {
      this.#leftOut++;
      return;
    }
    const text = `${line}\n`;
    this.#waiting.push(text);
    this.#waitingChars += text.length;
    this.#writing ??= this.#drain();
  }

  /** Everything written so far is in the file afterwards. */
  async close(): Promise<void> {
    await this.#writing;
  }

  async #drain(): Promise<void> {
    // Lines of the same turn go out together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      if (this.#leftOut > 0) this.#waiting.push(`${this.#leftOut} lines were left out here.\n`);
      this.#leftOut = 0;
      const text = this.#waiting.join("");
      this.#waiting = [];
      this.#waitingChars = 0;
      try {
        await this.#append(text);
        this.#failing = false;
      } catch (error) {
        this.#bytes = undefined;
        if (!this.#failing) this.#onError(error);
        this.#failing = true;
      }
    }
    this.#writing = undefined;
  }

  async #append(text: string): Promise<void> {
    this.#bytes ??= await sizeOf(this.path);
    if (this.#bytes >= this.#maxBytes) {
      await rename(this.path, `${this.path}.1`);
      this.#bytes = 0;
    }
    await appendFile(this.path, text, { mode: 0o600 });
    this.#bytes += Buffer.byteLength(text);
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
}
