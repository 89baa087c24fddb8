// How a group of calls is written: in one transaction with one sync. When the disk refuses, admissions are
// refused from then on and everything else is tried again with the room of the reserve, together and then
// one by one, so that what can still be told of admitted tasks is. A call that no disk would take is refused
// alone.

import type { DatabaseSync } from "node:sqlite";
import type { Reserve } from "../reserve.ts";
import { type DiskTrouble, diskTrouble } from "./disk-trouble.ts";
import type { Call, Refused } from "./messages.ts";
import { prepareStatements, type Statements } from "./statements.ts";

export class GroupWriter {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  readonly #reserve: Reserve;
  /** Why nothing is admitted. */
  #shortage: DiskTrouble | undefined;

  constructor(db: DatabaseSync, reserve: Reserve) {
    this.#db = db;
    this.#statements = prepareStatements(db);
    this.#reserve = reserve;
  }

  /** Without it nothing is admitted, until somebody asks and all is well. */
  growReserve(): void {
    try {
      if (this.#reserve.hasRoom()) return this.#reserve.grow();
      this.#shortage ??= noRoom("its reserve does not fit on the disk");
    } catch (error) {
      this.#shortage ??= diskTrouble(error);
    }
    this.#reserve.giveBack();
  }

  /** @returns why calls were refused, by their places; the others are safe */
  write(calls: readonly Call[]): Map<number, Refused> {
    const refused = new Map<number, Refused>();
    if (calls.some(({ kind }) => kind === "frees")) this.#free();
    const asks = calls.some(({ kind }) => kind === "asks");
    if (asks && this.#shortage !== undefined) this.#lookForRoom(this.#shortage);
    const indexed = [...calls.entries()];
    const admitted = this.#shortage === undefined ? indexed : this.#withoutAdmissions(indexed, refused);
    const trouble = this.#attempt(admitted);
    if (trouble === undefined) return refused;
    if ("bug" in trouble) return this.#oneByOne(admitted, refused);
    this.#shortage ??= trouble;
    if (trouble.isRoom) this.#reserve.giveBack();
    const rest = this.#withoutAdmissions(admitted, refused);
    if (this.#attempt(rest) === undefined) return refused;
    return this.#oneByOne(rest, refused);
  }

  #oneByOne(calls: readonly Placed[], refused: Map<number, Refused>): Map<number, Refused> {
    for (const each of calls) {
      const again = this.#attempt([each]);
      if (again !== undefined) refused.set(each[0], again);
    }
    return refused;
  }

  #withoutAdmissions(calls: readonly Placed[], refused: Map<number, Refused>): readonly Placed[] {
    const reason = this.#shortage as DiskTrouble;
    return calls.filter(([at, { kind }]) => {
      if (kind === "keeps" || kind === "frees") return true;
      refused.set(at, reason);
      return false;
    });
  }

  #free(): void {
    this.#shortage ??= noRoom("its reserve was needed");
    this.#reserve.giveBack();
  }

  /** Admission goes on when the reserve lies there and a write succeeds. */
  #lookForRoom(shortage: DiskTrouble): void {
    if (!this.#reserve.hasRoom()) return;
    this.#reserve.isWanted = true;
    this.growReserve();
    if (!this.#reserve.isMade) return;
    this.#shortage = undefined;
    if (this.#attempt([[0, nothing]]) !== undefined) this.#shortage = shortage;
  }

  #attempt(calls: readonly Placed[]): Refused | undefined {
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
      return refusedFor(error);
    }
  }
}

type Placed = readonly [at: number, call: Call];

const nothing: Call = { rows: [], atMs: 0, kind: "keeps" };

function refusedFor(error: unknown): Refused {
  try {
    return diskTrouble(error);
  } catch {
    return { bug: String(error) };
  }
}

const noRoom = (reason: string): DiskTrouble => ({ reason, isRoom: true, isDamaged: false });
