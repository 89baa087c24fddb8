// The spill of all live streams: one append-only log in a few files, freed as tasks end. It is never synced,
// since nothing here outlives the process. Reads and writes are synchronous on purpose: they are one call of
// some tens of kilobytes to the page cache, and keep "written" and "readable" the same moment.

import { closeSync, mkdirSync, openSync, readdirSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

export interface SegmentsOptions {
  /** Belongs to this log alone; what a crashed process left in it is removed. */
  readonly folder: string;
  readonly segmentBytes?: number;
  /** The disk takes no more; once per outage. Streams keep their text in memory meanwhile, and try again. */
  onFailure(error: Error): void;
}

/** Bytes that were appended together. Only `Segments` moves it. */
export interface Extent {
  readonly bytes: number;
}

interface Placed extends Extent {
  segment: Segment;
  from: number;
}

interface Segment {
  readonly path: string;
  readonly fd: number;
  readonly extents: Set<Placed>;
  size: number;
  liveBytes: number;
}

const suffix = ".segment";

/** Dead bytes are tolerated up to this multiple of the live ones, and two segments more. */
const deadPerLive = 3;

export class Segments {
  readonly #options: SegmentsOptions;
  readonly #segmentBytes: number;
  readonly #segments = new Set<Segment>();
  #newest: Segment | undefined;
  #made = 0;
  #liveBytes = 0;
  #diskBytes = 0;
  #isRefused = false;

  private constructor(options: SegmentsOptions) {
    this.#options = options;
    this.#segmentBytes = options.segmentBytes ?? 16 * 2 ** 20;
  }

  static open(options: SegmentsOptions): Segments {
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(options.folder)) {
      if (name.endsWith(suffix)) rmSync(join(options.folder, name));
    }
    return new Segments(options);
  }

  get liveBytes(): number {
    return this.#liveBytes;
  }

  get diskBytes(): number {
    return this.#diskBytes;
  }

  /** Undefined when the disk refuses; `onFailure` has been told, now or when that began. */
  append(bytes: Uint8Array): Extent | undefined {
    try {
      const extent = this.#append(bytes);
      this.#isRefused = false;
      return extent;
    } catch (error) {
      if (!this.#isRefused) this.#options.onFailure(error as Error);
      this.#isRefused = true;
      return undefined;
    }
  }

  read(extent: Extent): Buffer {
    const { segment, from, bytes } = extent as Placed;
    const buffer = Buffer.allocUnsafe(bytes);
    for (let done = 0; done < bytes; ) {
      const count = readSync(segment.fd, buffer, done, bytes - done, from + done);
      if (count === 0) throw new Error(`The segment log ${segment.path} was cut from outside.`);
      done += count;
    }
    return buffer;
  }

  free(extent: Extent): void {
    this.#forget(extent as Placed);
    this.#compact();
  }

  close(): void {
    for (const segment of this.#segments) this.#drop(segment);
    this.#newest = undefined;
  }

  #append(bytes: Uint8Array): Placed {
    const segment = this.#writable(bytes.length);
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(segment.fd, bytes, done, bytes.length - done, segment.size + done);
    }
    const placed: Placed = { segment, from: segment.size, bytes: bytes.length };
    segment.size += bytes.length;
    segment.liveBytes += bytes.length;
    this.#liveBytes += bytes.length;
    this.#diskBytes += bytes.length;
    segment.extents.add(placed);
    return placed;
  }

  #writable(bytes: number): Segment {
    const newest = this.#newest;
    if (newest !== undefined && newest.size + bytes <= this.#segmentBytes) return newest;
    const path = join(this.#options.folder, `${this.#made++}${suffix}`);
    const fd = openSync(path, "w+", 0o600);
    this.#newest = { path, fd, extents: new Set(), size: 0, liveBytes: 0 };
    this.#segments.add(this.#newest);
    if (newest?.extents.size === 0) this.#drop(newest);
    return this.#newest;
  }

  #forget(extent: Placed): void {
    const { segment, bytes } = extent;
    segment.extents.delete(extent);
    segment.liveBytes -= bytes;
    this.#liveBytes -= bytes;
    if (segment.extents.size === 0 && segment !== this.#newest) this.#drop(segment);
  }

  /** One long task may hold a little of every segment: what is left of the emptiest one moves to the end. */
  #compact(): void {
    while (this.#diskBytes - this.#liveBytes > deadPerLive * this.#liveBytes + 2 * this.#segmentBytes) {
      const sealed = [...this.#segments].filter((segment) => segment !== this.#newest);
      const emptiest = sealed.sort((a, b) => a.liveBytes - b.liveBytes)[0];
      if (emptiest === undefined || !this.#empty(emptiest)) return;
    }
  }

  /** False when the disk refuses, and then nothing is lost. */
  #empty(segment: Segment): boolean {
    for (const extent of [...segment.extents]) {
      const moved = this.append(this.read(extent)) as Placed | undefined;
      if (moved === undefined) return false;
      const { segment: to, from } = moved;
      to.extents.delete(moved);
      this.#forget(extent);
      extent.segment = to;
      extent.from = from;
      to.extents.add(extent);
    }
    return true;
  }

  #drop(segment: Segment): void {
    this.#segments.delete(segment);
    this.#diskBytes -= segment.size;
    closeSync(segment.fd);
    rmSync(segment.path, { force: true });
  }
}
