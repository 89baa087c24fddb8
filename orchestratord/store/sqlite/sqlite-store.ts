// The store that survives: one SQLite database, written by a thread of its own and read from here. Facts are
// turned into rows at once and are safe when their group is; what is asked in between comes from memory.

import type { TaskBody } from "@llama-orch/contract";
import { timeOf } from "../fact-time.ts";
import {
  endedMaxDefault,
  type Keeping,
  keptSinceMs,
  type NamedTask,
  rememberedBy,
  transcriptBy,
} from "../naming.ts";
import { removeReserve } from "../reserve.ts";
import type { Admitted, Fact, Recovered, Store } from "../store.ts";
import { BodyCache } from "./body-cache.ts";
import { reservePath } from "./database.ts";
import type { Call } from "./messages.ts";
import { openReading, orSay } from "./opening.ts";
import { Pending } from "./pending.ts";
import type { Reading } from "./reading.ts";
import { type Row, rowsOf } from "./rows.ts";
import { WriterThread } from "./writer-thread.ts";

export interface SqliteStoreOptions extends Keeping {
  /** It is made, and belongs to this store alone. */
  readonly folder: string;
  /** Of ended tasks, as far as `sweep` is called. */
  readonly endedMax?: number;
  /** Room that is held free for the ends of what was admitted. */
  readonly reserveBytes?: number;
  /** The database grows no larger. */
  readonly pagesMax?: number;
  /** The thread that writes has ended by itself, which is a bug; nothing is kept any more. */
  readonly onTrouble?: (error: Error) => void;
}

const reserveBytesDefault = 64 * 2 ** 20;
const cacheBytes = 32 * 2 ** 20;

export class SqliteStore implements Store {
  readonly #options: SqliteStoreOptions;
  readonly #reading: Reading;
  readonly #writer: WriterThread;
  readonly #pending = new Pending();
  readonly #bodies = new BodyCache(cacheBytes);
  /** By job: under which number a task that is not over is kept. */
  readonly #serials: Map<string, number>;
  #nextSerial: number;

  private constructor(options: SqliteStoreOptions, reading: Reading) {
    this.#options = options;
    this.#reading = reading;
    this.#serials = orSay(options.folder, () => reading.live());
    this.#nextSerial = orSay(options.folder, () => reading.nextSerial());
    const { folder, reserveBytes = reserveBytesDefault, pagesMax, onTrouble = () => {} } = options;
    this.#writer = new WriterThread({ folder, reserveBytes, pagesMax, onTrouble });
  }

  /** @throws OrchError that says what to do, or an error of the system that names its path */
  static open(options: SqliteStoreOptions): SqliteStore {
    const reading = openReading(options.folder);
    try {
      return new SqliteStore(options, reading);
    } catch (error) {
      reading.close();
      throw error;
    }
  }

  recover(): Recovered {
    return orSay(this.#options.folder, () => this.#reading.recover());
  }

  async commit(facts: readonly Fact[]): Promise<void> {
    const call = this.#callOf(facts);
    this.#pending.add(facts);
    try {
      await this.#writer.write(call);
      for (const fact of facts) this.#safe(fact);
    } catch (error) {
      for (const fact of facts) if (fact.fact === "admitted") this.#forget(fact.facts.jobId);
      throw error;
    } finally {
      this.#pending.settle(facts);
    }
  }

  async body(jobId: string): Promise<TaskBody | undefined> {
    if (this.#pending.isOver(jobId)) return undefined;
    const serial = this.#serials.get(jobId);
    return serial === undefined ? undefined : (this.#bodies.get(jobId) ?? this.#reading.body(serial));
  }

  async remembered(tenantId: string | undefined, taskId: string) {
    return rememberedBy((of) => this.#newest(of, taskId), tenantId, this.#options);
  }

  async transcript(tenantId: string | undefined, taskId: string) {
    return transcriptBy((of) => this.#newest(of, taskId), tenantId, this.#options);
  }

  past(limit: number) {
    return orSay(this.#options.folder, () => this.#reading.past(limit));
  }

  sweep(nowMs: number): Promise<void> {
    const { endedMax = endedMaxDefault } = this.#options;
    return this.#writer.sweep({ nowMs, endedSinceMs: keptSinceMs(this.#options, nowMs), endedMax });
  }

  makeRoom(): boolean {
    if (!removeReserve(reservePath(this.#options.folder))) return false;
    this.#writer.write({ rows: [], atMs: 0, kind: "frees" }).catch(() => {
      // The writer has heard it, which is all that this is for; a thread that is gone says so itself.
    });
    return true;
  }

  close(): Promise<void> {
    return this.#writer.close(() => this.#reading.close());
  }

  #newest(tenantId: string | undefined, taskId: string): NamedTask | undefined {
    const told = this.#pending.newest(tenantId, taskId);
    if (told !== undefined) return told;
    const sinceMs = keptSinceMs(this.#options, this.#options.nowMs());
    const kept = this.#reading.newest(tenantId, taskId, sinceMs);
    return kept && this.#pending.ending(kept);
  }

  #callOf(facts: readonly Fact[]): Call {
    let atMs = 0;
    const rows: Row[] = [];
    for (const fact of facts) {
      const body = fact.fact === "admitted" ? this.#admit(fact) : "";
      atMs = Math.max(atMs, timeOf(fact));
      rows.push(...rowsOf(fact, (jobId) => this.#serials.get(jobId), body));
    }
    const admits = facts.some(({ fact }) => fact === "admitted");
    return { rows, atMs, kind: admits ? "admits" : facts.length === 0 ? "asks" : "keeps" };
  }

  #admit({ facts: { jobId }, body }: Admitted): string {
    const text = JSON.stringify(body);
    this.#serials.set(jobId, this.#nextSerial++);
    this.#bodies.add(jobId, body, text.length);
    return text;
  }

  #safe(fact: Fact): void {
    if (fact.fact === "admitted") this.#bodies.settle(fact.facts.jobId);
    else if (fact.fact === "ended") this.#forget(fact.jobId);
  }

  #forget(jobId: string): void {
    this.#serials.delete(jobId);
    this.#bodies.drop(jobId);
  }
}
