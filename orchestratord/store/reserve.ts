// A file that only holds room on the disk, and is given back when there is none left, so that what was
// admitted can still end. Its content cannot be compressed, or a clever file system would keep nothing free.

import { randomFillSync } from "node:crypto";
import {
  closeSync,
  fdatasyncSync,
  openSync,
  rmSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

export interface ReserveOptions {
  readonly path: string;
  readonly bytes: number;
}

/** So much is written in one go; whoever writes the store waits for it. */
const pieceBytes = 2 ** 20;
/** With no more room than it takes it would be given back at once. */
const spare = 1.25;

export class Reserve {
  readonly #path: string;
  readonly #bytes: number;
  #made: number;
  /** One for all pieces: what each would leave behind is as large as the reserve. */
  #content: Buffer | undefined;
  /** It is to be made, a piece at a time. */
  isWanted = true;

  constructor({ path, bytes }: ReserveOptions) {
    this.#path = path;
    this.#bytes = bytes;
    this.#made = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    if (this.#made <= bytes) return;
    rmSync(path);
    this.#made = 0;
  }

  get isMade(): boolean {
    return this.#made >= this.#bytes;
  }

  /** Whether it could be made now, as far as the disk tells. */
  hasRoom(): boolean {
    if (this.isMade) return true;
    const { bavail, bsize } = statfsSync(dirname(this.#path));
    return bavail * bsize >= (this.#bytes - this.#made) * spare;
  }

  /**
   * Makes a piece of it.
   * @throws Error of the system when the disk refuses
   */
  grow(): void {
    if (this.isMade) return;
    this.#content ??= randomFillSync(Buffer.allocUnsafe(pieceBytes));
    const piece = this.#content.subarray(0, Math.min(pieceBytes, this.#bytes - this.#made));
    const file = openSync(this.#path, "a", 0o600);
    try {
      this.#made += writeSync(file, piece);
      fdatasyncSync(file);
    } finally {
      closeSync(file);
    }
    if (this.isMade) this.#content = undefined;
  }

  giveBack(): void {
    rmSync(this.#path, { force: true });
    this.#made = 0;
    this.isWanted = false;
  }
}

/** For whoever cannot wait for its owner, who is to be told at once. False where there was none. */
export function removeReserve(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch {
    // It is not there, or may not be taken away: either way there is no more room than before.
    return false;
  }
}
