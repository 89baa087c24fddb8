// One file of the transcript log: records one behind the other, each a line of JSON that says what follows,
// then a text and a newline. It is written in groups, each synced as a whole, and only by the run that made
// it. What a crash has left half written is found and cut off at the next start.

import { hash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Named } from "./inventory.ts";

/** Where a text lies, and whose it is. */
export interface Extent {
  readonly tenantId: string;
  readonly id: string;
  readonly createdMs: number;
  readonly at: number;
  readonly bytes: number;
}

export interface NewRecord {
  readonly tenantId: string;
  readonly createdMs: number;
  readonly named: Named;
}

const header =
  /^\{"id":"(sha256:[0-9a-f]{64})","tenant":"([^"\\]{1,128})","created_ms":(\d{1,15}),"bytes":(\d{1,12}),"synced":(\d{1,12})\}$/;
const headerBytesMax = 512;

/** Read at once while looking for headers; texts larger than that are skipped. */
const windowBytes = 256 * 1024;

/** Small buffers of a group are written as one of about this size. */
const writeBytes = 256 * 1024;

export class TranscriptFile {
  readonly path: string;
  readonly #handle: FileHandle;
  #bytes = 0;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  static async create(path: string): Promise<TranscriptFile> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
    return new TranscriptFile(path, await open(path, flags, 0o600));
  }

  /** Up to here everything is safe. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Resolves with the places of the texts, in order, once all of them are safe. After a failure the file must
   * not be written again: nobody knows what of the group is in it.
   */
  async append(records: readonly NewRecord[]): Promise<number[]> {
    const buffers: Buffer[] = [];
    const places: number[] = [];
    let end = this.#bytes;
    for (const { tenantId, createdMs, named } of records) {
      const { id, bytes } = named;
      // What was synced before this group needs no look after a crash; the rest of the file does.
      const line = `{"id":"${id}","tenant":"${tenantId}","created_ms":${createdMs},"bytes":${bytes},"synced":${this.#bytes}}\n`;
      buffers.push(Buffer.from(line), ...named.pieces, newline);
      places.push(end + Buffer.byteLength(line));
      end += Buffer.byteLength(line) + bytes + 1;
    }
    try {
      let at = this.#bytes;
      for (const buffer of joined(buffers)) at = await writeWhole(this.#handle, buffer, at);
      await this.#handle.datasync();
    } catch (error) {
      await this.#cut();
      throw error;
    }
    this.#bytes = end;
    return places;
  }

  /** A disk that is full needs the room of what is half written. */
  async #cut(): Promise<void> {
    try {
      await this.#handle.truncate(this.#bytes);
    } catch {
      // The next start cuts it off.
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

const newline = Buffer.from("\n");

/** One write costs more than copying what is small. */
function* joined(buffers: readonly Buffer[]): Generator<Buffer> {
  let together: Buffer[] = [];
  let bytes = 0;
  for (const buffer of buffers) {
    together.push(buffer);
    bytes += buffer.length;
    if (bytes < writeBytes) continue;
    yield Buffer.concat(together, bytes);
    together = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(together, bytes);
}

/** A disk that is nearly full takes a part and refuses the rest. */
async function writeWhole(handle: FileHandle, buffer: Buffer, from: number): Promise<number> {
  let written = 0;
  while (written < buffer.length) {
    const { bytesWritten } = await handle.write(buffer, written, buffer.length - written, from + written);
    written += bytesWritten;
  }
  return from + buffer.length;
}

/** @throws Error when what lies there is not what its name says */
export async function readText(path: string, { at, bytes, id }: Omit<Extent, "tenantId" | "createdMs">) {
  const handle = await open(path, "r");
  try {
    const text = await readAt(handle, at, bytes);
    if (isNamed(text, id)) return text;
  } finally {
    await handle.close();
  }
  throw new Error(`The transcript ${id} is damaged: ${path} has other bytes at ${at}. Check the disk.`);
}

/** What a file holds that an earlier run wrote; a half-written end is cut off. */
export async function recover(path: string): Promise<Extent[]> {
  const handle = await open(path, "r+");
  try {
    const { size } = await handle.stat();
    const { extents, synced } = await scan(handle, size);
    const doubtful = extents.findIndex(({ at }) => at >= synced);
    if (doubtful >= 0) await judge(handle, extents, doubtful);
    const last = extents.at(-1);
    const end = last === undefined ? 0 : last.at + last.bytes + 1;
    if (end < size) {
      await handle.truncate(end);
      await handle.datasync();
    }
    return extents;
  } finally {
    await handle.close();
  }
}

interface Scanned {
  readonly extents: Extent[];
  /** What lies before was synced before the last group began. */
  readonly synced: number;
}

/** Goes from header to header; the first that is none, or whose text is not all there, ends it. */
async function scan(handle: FileHandle, size: number): Promise<Scanned> {
  const extents: Extent[] = [];
  let synced = 0;
  let window: Buffer = Buffer.alloc(0);
  let windowAt = 0;
  for (let at = 0; at < size; ) {
    const windowEnd = windowAt + window.length;
    if (at >= windowEnd || (at + headerBytesMax > windowEnd && windowEnd < size)) {
      windowAt = at;
      window = await readAt(handle, at, Math.min(windowBytes, size - at));
    }
    const lineEnd = window.indexOf(newline, at - windowAt);
    const line = lineEnd < 0 ? "" : window.toString("latin1", at - windowAt, lineEnd);
    const [, id, tenantId, createdMs, bytes, before] = header.exec(line) ?? [];
    const extent = {
      tenantId: tenantId as string,
      id: id as string,
      createdMs: Number(createdMs),
      at: at + line.length + 1,
      bytes: Number(bytes),
    };
    if (id === undefined || extent.at + extent.bytes + 1 > size) break;
    extents.push(extent);
    synced = Number(before);
    at = extent.at + extent.bytes + 1;
  }
  return { extents, synced };
}

/** Of a group that may never have been synced, all goes from the first text on that is damaged. */
async function judge(handle: FileHandle, extents: Extent[], from: number): Promise<void> {
  for (let n = from; n < extents.length; n++) {
    const { at, bytes, id } = extents[n] as Extent;
    if (!isNamed(await readAt(handle, at, bytes), id)) extents.length = n;
  }
}

const isNamed = (text: Buffer, id: string): boolean => `sha256:${hash("sha256", text)}` === id;

/** Fewer bytes where the file is shorter. */
async function readAt(handle: FileHandle, at: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(bytes);
  let read = 0;
  while (read < bytes) {
    const { bytesRead } = await handle.read(buffer, read, bytes - read, at + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return buffer.subarray(0, read);
}
