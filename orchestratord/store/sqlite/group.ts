// How a group of calls is written: in one transaction with one sync. When the disk refuses, admissions are
// refused from then on and everything else is tried again with the room of the reserve, together and then
// one by one, so that what can still be told of admitted tasks is.

import type { DatabaseSync } from "node:sqlite";
import type { Reserve } from "../reserve.ts";
import { diskTrouble } from "./disk-trouble.ts";
import type { Call } from "./messages.ts";
import { prepareStatements, type Statements } from "./statements.ts";

export class GroupWriter {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  readonly #reserve: Reserve;
  /** Why nothing is admitted. */
  #shortage: string | undefined;

  constructor(db: DatabaseSync, reserve: Reserve) {
    this.#db = db;
    this.#statements = prepareStatements(db);
    this.#reserve = reserve;
  }

  /** Without it nothing is admitted, until somebody asks and all is well. */
  growReserve(): void {
    try {
      if (!this.#reserve.hasRoom()) throw new NoRoom("its reserve does not fit on the disk");
      this.#reserve.grow();
    } catch (error) {
      const reason = error instanceof NoRoom ? error.message : diskTrouble(error).reason;
      this.#reserve.giveBack();
      this.#shortage ??= reason;
    }
  }

  /** @returns why calls were refused, by their places; the others are safe */
  write(calls: readonly Call[]): Map<number, string> {
    const refused = new Map<number, string>();
    if (calls.some(({ kind }) => kind === "frees")) this.#free();
    const asks = calls.some(({ kind }) => kind === "asks");
    if (asks && this.#shortage !== undefined) this.#lookForRoom(this.#shortage);
    const indexed = [...calls.entries()];
    const admitted = this.#shortage === undefined ? indexed : this.#withoutAdmissions(indexed, refused);
    const trouble = this.#attempt(admitted);
    if (trouble === undefined) return refused;
    this.#shortage ??= trouble.reason;
    if (trouble.isRoom) this.#reserve.giveBack();
    const rest = this.#withoutAdmissions(admitted, refused);
    if (this.#attempt(rest) === undefined) return refused;
    for (const each of rest) {
      const again = this.#attempt([each]);
      if (again !== undefined) refused.set(each[0], again.reason);
    }
    return refused;
  }

  #withoutAdmissions(calls: readonly Placed[], refused: Map<number, string>): readonly Placed[] {
    const reason = this.#shortage as string;
    return calls.filter(([at, { kind }]) => {
      if (kind === "keeps" || kind === "frees") return true;
      refused.set(at, reason);
      return false;
    });
  }

  #free(): void {
    this.#shortage ??= "its reserve was needed";
    this.#reserve.giveBack();
  }

  /** Admission goes on when the reserve lies there and a write succeeds. */
  #lookForRoom(shortage: string): void {
    if (!this.#reserve.hasRoom()) return;
    this.#reserve.isWanted = true;
    this.growReserve();
    if (!this.#reserve.isMade) return;
    this.#shortage = undefined;
    if (this.#attempt([[0, nothing]]) !== undefined) this.#shortage = shortage;
  }

  #attempt(calls: readonly Placed[]) {
    if (calls.length === 0) return undefined;
    try {
      this.#db.exec("BEGIN IMMEDIATE");
      let atMs = 0;
      for (const [, call] of calls) {
        atMs = Math.max(atMs, call.atMs);
        for (const [name, ...values] of call.rows) this.#statements[name].run(...values);
      }
      this.#statements.record.run(atMs);
      this.#db.exec("COMMIT");
      return undefined;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      return diskTrouble(error);
    }
  }
}

type Placed = readonly [at: number, call: Call];

const nothing: Call = { rows: [], atMs: 0, kind: "keeps" };

class NoRoom extends Error {}
