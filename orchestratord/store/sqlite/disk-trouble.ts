// Which failures are the disk's and which are ours.

import type { Remedy } from "../refusal.ts";

export interface DiskTrouble {
  readonly reason: string;
  /** More room may help. */
  readonly isRoom: boolean;
  /** The file is not what it should be. */
  readonly isDamaged: boolean;
}

const room = { isRoom: true, isDamaged: false };
const refused = { isRoom: false, isDamaged: false };
const damaged = { isRoom: false, isDamaged: true };

export function remedyOf({ isRoom, isDamaged }: DiskTrouble): Remedy {
  if (isDamaged) return "repair";
  return isRoom ? "room" : "permission";
}

/** Primary result codes of SQLite by which a disk, or whoever else holds the file, refuses. */
const sqliteCodes: ReadonlyMap<number, Omit<DiskTrouble, "reason">> = new Map([
  [3, refused], // PERM
  [5, refused], // BUSY
  [7, refused], // NOMEM
  [8, refused], // READONLY
  [10, room], // IOERR
  [11, damaged], // CORRUPT
  [13, room], // FULL
  [14, room], // CANTOPEN
  [26, damaged], // NOTADB
]);

/** @throws the error itself where the disk has no part in it */
export function diskTrouble(error: unknown): DiskTrouble {
  const { code, errcode, syscall, message } = error as Refusal;
  if (code === "ERR_SQLITE_ERROR" && errcode !== undefined) {
    const known = sqliteCodes.get(errcode & 0xff);
    if (known !== undefined) return { reason: message, ...known };
  } else if (syscall !== undefined) {
    return { reason: message, ...(code === "EROFS" || code === "EACCES" ? refused : room) };
  }
  throw error;
}

interface Refusal extends NodeJS.ErrnoException {
  /** What SQLite itself says, with its details in the higher bits. */
  readonly errcode?: number;
}
