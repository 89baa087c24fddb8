// What nobody may ask for any more leaves the tables, a small piece at a time, so that no admission waits for
// long, and the room of it goes back to the disk.

import type { DatabaseSync } from "node:sqlite";
import { diskTrouble } from "./disk-trouble.ts";
import type { Reply, SweepLimits } from "./messages.ts";

/** Rows, or pages of the file, of one piece. */
const pieceRows = 500;
const piecePages = 500;
/** Free pages that stay in the file, since they are needed again soon. */
const freePagesMax = 2000;

/** One sweep, from piece to piece. */
export class Sweep {
  readonly #db: DatabaseSync;
  readonly #limits: SweepLimits;
  /** Absent until it has begun. */
  #excess: number | undefined;
  #sessions: readonly number[] = [];
  #nextSession = 0;
  #vacuumed = false;

  constructor(db: DatabaseSync, limits: SweepLimits) {
    this.#db = db;
    this.#limits = limits;
  }

  next(): Reply {
    try {
      this.#excess ??= this.#begin();
      const more = this.#tasks(this.#excess) || this.#expired() || this.#vacuum();
      return { kind: "swept", more };
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      return { kind: "unswept", trouble: diskTrouble(error) };
    }
  }

  /** @returns how many ended tasks there are too many */
  #begin(): number {
    const expired = this.#db.prepare(expiredSessions).all(this.#limits.nowMs);
    this.#sessions = expired.map(({ serial }) => Number(serial));
    const ended = this.#db.prepare("SELECT count(*) AS n FROM tasks WHERE ended_at IS NOT NULL").get();
    return Number(ended?.n) - this.#limits.endedMax;
  }

  #tasks(excess: number): boolean {
    const byTime = this.#db.prepare(oldest("WHERE ended_at < ?")).run(this.#limits.endedSinceMs, pieceRows);
    const gone = Number(byTime.changes);
    this.#excess = excess - gone;
    const room = Math.min(pieceRows - gone, this.#excess);
    if (room <= 0) return gone === pieceRows;
    const byNumber = Number(this.#db.prepare(oldest("WHERE ended_at IS NOT NULL")).run(room).changes);
    this.#excess -= byNumber;
    return gone + byNumber === pieceRows;
  }

  #expired(): boolean {
    const remove = this.#db.prepare(expiredSession);
    const until = Math.min(this.#nextSession + pieceRows, this.#sessions.length);
    if (this.#nextSession === until) return false;
    this.#db.exec("BEGIN IMMEDIATE");
    for (; this.#nextSession < until; this.#nextSession++) {
      remove.run(this.#sessions[this.#nextSession] as number, this.#limits.nowMs);
    }
    this.#db.exec("COMMIT");
    return true;
  }

  #vacuum(): boolean {
    const free = Number(this.#db.prepare("PRAGMA freelist_count").get()?.freelist_count);
    if (free <= freePagesMax) return this.#shrink();
    this.#vacuumed = true;
    this.#db.exec(`PRAGMA incremental_vacuum(${Math.min(piecePages, free - freePagesMax)})`);
    return true;
  }

  /** The file itself gets smaller when the log is copied into it. */
  #shrink(): false {
    if (this.#vacuumed) this.#db.exec("PRAGMA wal_checkpoint(PASSIVE)");
    return false;
  }
}

const oldest = (which: string): string =>
  `DELETE FROM tasks WHERE serial IN (SELECT serial FROM tasks ${which} ORDER BY ended_at, serial LIMIT ?)`;

/** A session with work in hand does not expire under it. */
const expiredSessions =
  "SELECT serial FROM sessions WHERE expires_at <= ? AND serial NOT IN (SELECT session_serial " +
  "FROM texts CROSS JOIN tasks USING (serial) WHERE session_serial IS NOT NULL)";

/** Somebody may have used it since it was found. */
const expiredSession = "DELETE FROM sessions WHERE serial = ? AND expires_at <= ?";
