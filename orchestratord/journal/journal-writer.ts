// The order in which lines get into files, one write at a time. It decides nothing about what is written or
// when a file is over; after a refusal everything that waited is dropped, and its owner begins anew.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { bytesFree, journalFiles, removeOldest } from "./folder.ts";
import { fileName } from "./format.ts";
import { JournalFile } from "./journal-file.ts";

export interface JournalWriterOptions {
  readonly folder: string;
  /** The disk has taken all there was, or has refused it. */
  onDrained(): void;
  /** Nothing waits any more; the file ends with its last whole line. */
  onRefused(error: Error): void;
}

export interface Beginning {
  /** Made when it is written. */
  readonly head: () => string;
  /** What this file may grow to, and what older ones may hold beside it. */
  readonly fileMaxBytes: number;
  readonly olderMaxBytes: number;
}

/** What is to be written to one file. */
interface Chapter {
  /** Absent once it is written. */
  beginning: Beginning | undefined;
  lines: string[];
  bytes: number;
}

interface Piece {
  readonly bytes: Uint8Array;
  readonly beginning: Beginning | undefined;
}

/** Left to those who must write, such as the ends of tasks on a full disk. */
const leftFreeBytes = 64 * 2 ** 20;

export class JournalWriter {
  readonly #options: JournalWriterOptions;
  /** The last one takes what is added. */
  #chapters: Chapter[] = [];
  #waitingBytes = 0;
  #file: JournalFile | undefined;
  /** Up to here the file holds whole lines. */
  #at = 0;
  #underWay: Uint8Array | undefined;
  #writing: Promise<void> | undefined;
  /** Grows when somebody in a hurry writes what is under way, too. */
  #overtaken = 0;

  constructor(options: JournalWriterOptions) {
    this.#options = options;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** A file is to begin, and that has not come about yet. */
  get isBeginning(): boolean {
    return this.#chapters.at(-1)?.beginning !== undefined;
  }

  begin(beginning: Beginning): void {
    this.#chapters.push({ beginning, lines: [], bytes: 0 });
  }

  /** @returns its bytes */
  add(line: string): number {
    const chapter = this.#chapters.at(-1);
    assert(chapter !== undefined, "A line was added before a file was begun.");
    const bytes = Buffer.byteLength(line);
    chapter.lines.push(line);
    chapter.bytes += bytes;
    this.#waitingBytes += bytes;
    return bytes;
  }

  flush(): void {
    this.#writing ??= this.#drain();
  }

  /** Everything is handed to the system before this returns. */
  flushSync(): void {
    this.#overtaken++;
    const late = this.#underWay;
    this.#underWay = undefined;
    const isFree = this.#writing === undefined;
    try {
      // The same bytes at the same place: it does not matter which of the two writes comes last.
      if (late !== undefined) this.#putSync(late);
      for (let next = this.#take(); next !== undefined; next = this.#take()) {
        if (next.beginning !== undefined) this.#create(next.beginning, isFree);
        this.#putSync(next.bytes);
      }
    } catch (error) {
      this.#refuse(error as Error, isFree);
    }
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  /** When it is idle. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  async #drain(): Promise<void> {
    // What is recorded in the same turn goes out together.
    await Promise.resolve();
    for (let isOver = false; !isOver; ) {
      const overtaken = this.#overtaken;
      try {
        const next = this.#take();
        isOver = next === undefined;
        if (next !== undefined) await this.#put(next);
      } catch (error) {
        if (overtaken === this.#overtaken) this.#refuse(error as Error, true);
      }
    }
    this.#writing = undefined;
    this.#options.onDrained();
  }

  /** What goes to one file with one write. */
  #take(): Piece | undefined {
    for (let [chapter] = this.#chapters; chapter !== undefined; [chapter] = this.#chapters) {
      const { beginning, lines } = chapter;
      if (beginning !== undefined || lines.length > 0) {
        const text = lines.join("");
        chapter.beginning = undefined;
        chapter.lines = [];
        this.#waitingBytes -= chapter.bytes;
        chapter.bytes = 0;
        return { bytes: Buffer.from(beginning === undefined ? text : beginning.head() + text), beginning };
      }
      if (this.#chapters.length === 1) return undefined;
      this.#chapters.shift();
    }
    return undefined;
  }

  async #put({ bytes, beginning }: Piece): Promise<void> {
    const overtaken = this.#overtaken;
    if (beginning !== undefined) this.#create(beginning, true);
    this.#underWay = bytes;
    if (beginning !== undefined)
      await removeOldest(this.#options.folder, beginning.olderMaxBytes, this.#file);
    if (overtaken !== this.#overtaken) return;
    await this.#file?.write(bytes, this.#at);
    if (overtaken !== this.#overtaken) return;
    this.#underWay = undefined;
    this.#at += bytes.length;
  }

  #putSync(bytes: Uint8Array): void {
    this.#file?.writeSync(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** @param isFree no write to the file before is under way */
  #create({ fileMaxBytes }: Beginning, isFree: boolean): void {
    const { folder } = this.#options;
    if (isFree) this.#file?.close();
    this.#file = undefined;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (bytesFree(folder) < fileMaxBytes + leftFreeBytes) throw new Error("too little is free");
    const number = (journalFiles(folder).at(-1)?.number ?? 0) + 1;
    this.#file = JournalFile.create(join(folder, fileName(number)));
    this.#at = 0;
  }

  #refuse(error: Error, isFree: boolean): void {
    const file = this.#file;
    this.#file = undefined;
    this.#underWay = undefined;
    this.#chapters = [];
    this.#waitingBytes = 0;
    try {
      file?.cut(this.#at);
      if (isFree) file?.close();
    } catch {
      // A reader passes over an end that is not whole.
    }
    this.#options.onRefused(error);
  }
}
