// Transcripts in an append-only log: a file for each would cost a dozen calls into the disk at the end of
// every task, and a sync of its own. Here all that come while one group is being synced are the next group,
// one write and one sync for all. The index is in memory, with a row of a few words for each transcript, and
// is made anew at every start. Files are only dropped, when nothing in them is kept any more.

import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { namesIn, syncFolder } from "./folder.ts";
import { type Keeping, type Named, requireTranscriptRoom } from "./inventory.ts";
import { type NewRecord, readText, recover, TranscriptFile } from "./transcript-file.ts";

export interface TranscriptLogOptions {
  readonly folder: string;
  readonly keeping: Keeping;
  /** A file that has grown so large is the last but one. */
  readonly fileBytes?: number;
}

/** What is known of one transcript. */
interface Row {
  readonly createdMs: number;
  readonly bytes: number;
  isKept: boolean;
  /** Absent until its group is safe. */
  shelf: Shelf | undefined;
  at: number;
}

/** One file, as the index sees it. */
interface Shelf {
  readonly path: string;
  /** Transcripts in it that are kept. */
  kept: number;
}

interface Current {
  readonly file: TranscriptFile;
  readonly shelf: Shelf;
  readonly sinceMs: number;
}

interface Pending extends NewRecord {
  readonly row: Row;
  readonly safe: PromiseWithResolvers<void>;
}

const fileBytesMax = 16 * 2 ** 20;
const fileName = /^(\d{10})\.log$/;

/** What is no longer kept may lie on the disk until its file goes, so long or so much longer at most. */
const overstay = 1 / 16;
const rotateMsMin = 60_000;

export class TranscriptLog {
  readonly #folder: string;
  readonly #keeping: Keeping;
  readonly #fileBytes: number;
  readonly #rotateMs: number;
  /** Oldest first. */
  readonly #rows = new Map<string, Row>();
  /** Everybody who has ever stored something here; the rows cannot tell. */
  readonly tenants = new Set<string>();
  #bytes = 0;
  readonly #pending = new Map<string, Pending>();
  #group: Pending[] = [];
  #writing: Promise<void> | undefined;
  /** The only one that is written. */
  #current: Current | undefined;
  #nextFile = 0;
  /** Files that nobody needs and that are still there. */
  readonly #needless = new Set<string>();

  private constructor({ folder, keeping, fileBytes = fileBytesMax }: TranscriptLogOptions) {
    this.#folder = folder;
    this.#keeping = keeping;
    this.#fileBytes = Math.min(fileBytes, Math.ceil(keeping.transcriptsBytes * overstay));
    this.#rotateMs = Math.max(rotateMsMin, keeping.transcriptsMs * overstay);
  }

  static async open(options: TranscriptLogOptions): Promise<TranscriptLog> {
    const log = new TranscriptLog(options);
    await log.#takeStock();
    return log;
  }

  /** When it was stored, if it is. */
  find(tenantId: string, id: string): Readonly<Pick<Row, "createdMs" | "bytes">> | undefined {
    return this.#rows.get(keyOf(tenantId, id));
  }

  /**
   * Resolves once the text is safe, with the time that counts.
   * @throws OrchError ARTIFACT_STORE_FULL when it can never fit, or what Node says when the disk refuses
   */
  async put(tenantId: string, named: Named, createdMs: number): Promise<{ readonly createdMs: number }> {
    const key = keyOf(tenantId, named.id);
    const known = this.#rows.get(key);
    if (known !== undefined) {
      await this.#pending.get(key)?.safe.promise;
      return known;
    }
    requireTranscriptRoom(named.bytes, this.#keeping.transcriptsBytes);
    const row: Row = { createdMs, bytes: named.bytes, isKept: true, shelf: undefined, at: 0 };
    const safe = Promise.withResolvers<void>();
    const pending = { tenantId, createdMs, named, row, safe };
    this.tenants.add(tenantId);
    this.#add(key, row);
    this.#pending.set(key, pending);
    this.#group.push(pending);
    this.#writing ??= this.#write();
    try {
      await safe.promise;
    } catch (error) {
      this.#drop(key, row);
      throw error;
    } finally {
      if (this.#pending.get(key) === pending) this.#pending.delete(key);
    }
    this.#makeRoom();
    return row;
  }

  /** @throws Error when the disk has other bytes than were stored */
  async get(tenantId: string, id: string): Promise<Buffer | undefined> {
    const key = keyOf(tenantId, id);
    const pending = this.#pending.get(key);
    if (pending !== undefined) return Buffer.concat(pending.named.pieces);
    const row = this.#rows.get(key);
    if (row?.shelf === undefined) return undefined;
    const { shelf, at, bytes } = row;
    try {
      return await readText(shelf.path, { at, bytes, id });
    } catch (error) {
      // Its file went while this waited.
      if (!row.isKept) return undefined;
      throw error;
    }
  }

  forget(tenantId: string, id: string): void {
    const key = keyOf(tenantId, id);
    const row = this.#rows.get(key);
    if (row !== undefined) this.#drop(key, row);
  }

  async sweep(nowMs: number): Promise<void> {
    for (const [key, row] of this.#rows) {
      if (row.createdMs <= nowMs - this.#keeping.transcriptsMs) this.#drop(key, row);
    }
    await this.#writing;
    // A quiet daemon would leave its last file where it is for ever.
    if (this.#writing === undefined && this.#current?.shelf.kept === 0) await this.#retire();
    await this.#clear();
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#retire();
    await this.#clear();
  }

  /** One group after the other, until nobody waits. */
  async #write(): Promise<void> {
    while (this.#group.length > 0) {
      const group = this.#group;
      this.#group = [];
      try {
        await this.#writeGroup(group);
        for (const { safe } of group) safe.resolve();
      } catch (error) {
        for (const { safe } of group) safe.reject(error);
        // Half of the group may be in this file, and is cut off at the next start; the next gets its own.
        await this.#retire().catch(() => {
          // Its puts have failed already, and the handle is gone either way.
        });
      }
    }
    this.#writing = undefined;
  }

  async #writeGroup(group: readonly Pending[]): Promise<void> {
    const { file, shelf } = await this.#writable((group[0] as Pending).createdMs);
    const places = await file.append(group);
    for (const [n, { row }] of group.entries()) {
      row.shelf = shelf;
      row.at = places[n] as number;
      if (row.isKept) shelf.kept++;
    }
  }

  async #writable(nowMs: number): Promise<Current> {
    const current = this.#current;
    if (current !== undefined) {
      const isYoung = nowMs - current.sinceMs < this.#rotateMs;
      if (isYoung && current.file.bytes < this.#fileBytes) return current;
      await this.#retire();
    }
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const path = join(this.#folder, `${String(this.#nextFile++).padStart(10, "0")}.log`);
    const file = await TranscriptFile.create(path);
    this.#current = { file, shelf: { path, kept: 0 }, sinceMs: nowMs };
    await syncFolder(this.#folder);
    return this.#current;
  }

  async #retire(): Promise<void> {
    const current = this.#current;
    if (current === undefined) return;
    this.#current = undefined;
    await current.file.close();
    if (current.shelf.kept === 0) this.#remove(current.shelf);
  }

  #add(key: string, row: Row): void {
    this.#rows.set(key, row);
    this.#bytes += row.bytes;
    if (row.shelf !== undefined) row.shelf.kept++;
  }

  #drop(key: string, row: Row): void {
    if (!row.isKept) return;
    row.isKept = false;
    this.#rows.delete(key);
    this.#bytes -= row.bytes;
    const { shelf } = row;
    if (shelf !== undefined && --shelf.kept === 0 && shelf !== this.#current?.shelf) this.#remove(shelf);
  }

  /** The oldest go, so many that the rest fits. */
  #makeRoom(): void {
    for (const [key, row] of this.#rows) {
      if (this.#bytes <= this.#keeping.transcriptsBytes) return;
      this.#drop(key, row);
    }
  }

  #remove({ path }: Shelf): void {
    this.#needless.add(path);
    this.#clear().catch(() => {
      // The next sweep tries again, and says so.
    });
  }

  async #clear(): Promise<void> {
    for (const path of this.#needless) {
      await rm(path, { force: true });
      this.#needless.delete(path);
    }
  }

  /** Files of earlier runs are read and dropped, and never written again. */
  async #takeStock(): Promise<void> {
    for (const name of (await namesIn(this.#folder)).sort()) {
      const number = fileName.exec(name)?.[1];
      if (number === undefined) continue;
      this.#nextFile = Number(number) + 1;
      const shelf: Shelf = { path: join(this.#folder, name), kept: 0 };
      for (const { tenantId, id, createdMs, bytes, at } of await recover(shelf.path)) {
        const key = keyOf(tenantId, id);
        this.tenants.add(tenantId);
        if (!this.#rows.has(key)) this.#add(key, { createdMs, bytes, isKept: true, shelf, at });
      }
      if (shelf.kept === 0) this.#remove(shelf);
      this.#makeRoom();
    }
  }
}

/** Sixteen bytes of the digest for what would be seventy, since the index has one for every transcript. */
function keyOf(tenantId: string, id: string): string {
  return `${Buffer.from(id.slice("sha256:".length, "sha256:".length + 32), "hex").toString("latin1")} ${tenantId}`;
}
