// The spill of all live streams, and the log by which some survive the process: append-only records in a few
// files, freed as tasks end. It is never synced: a kill keeps what the kernel has, and after a power cut
// clients prove where they are. Reads and writes are synchronous on purpose: they are one call to the page
// cache, and keep "written" and "readable" the same moment.

import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { isDiskFull } from "../disk-full.ts";
import { type Packed, pack, type Scanned, type Stretch, scan } from "./segment-record.ts";
import { Survivors } from "./survivors.ts";

export interface SegmentsOptions {
  /** Belongs to this log alone. */
  readonly folder: string;
  readonly segmentBytes?: number;
  /**
   * Gives back room that is held on a full disk for what is to survive; false where there was none. Absent:
   * none is held.
   */
  readonly makeRoom?: () => boolean;
  /** The disk takes no more; once per outage. Streams keep their text in memory meanwhile, and try again. */
  onFailure(error: Error): void;
}

/** A text that was appended, with its record around it. Only `Segments` moves it. */
export interface Extent {
  readonly bytes: number;
}

/** A record that an earlier process left. */
export interface Found {
  readonly extent: Extent;
  readonly stretch: Stretch;
}

interface Placed extends Extent {
  readonly head: number;
  readonly isLabelled: boolean;
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

interface Left extends Scanned {
  readonly segment: Segment;
}

const suffix = ".segment";

/** Dead bytes are tolerated up to this multiple of the live ones, and two segments more. */
const deadPerLive = 3;

const scratchBytes = 262_144;

export class Segments {
  readonly #options: SegmentsOptions;
  readonly #segmentBytes: number;
  readonly #scratch = Buffer.allocUnsafeSlow(scratchBytes);
  readonly #segments = new Set<Segment>();
  /** Streams of an earlier process, until somebody goes on with them. */
  readonly #unclaimed = new Map<string, readonly Found[]>();
  #newest: Segment | undefined;
  #made = 0;
  #liveBytes = 0;
  #diskBytes = 0;
  #isRefused = false;

  private constructor(options: SegmentsOptions) {
    this.#options = options;
    this.#segmentBytes = options.segmentBytes ?? 16 * 2 ** 20;
  }

  /** Keeps the labelled records that an earlier process left, for `claim`; nothing else of it. */
  static open(options: SegmentsOptions): Segments {
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    const segments = new Segments(options);
    segments.#recover();
    return segments;
  }

  get liveBytes(): number {
    return this.#liveBytes;
  }

  get diskBytes(): number {
    return this.#diskBytes;
  }

  /** Job ids of the streams that an earlier process left and nobody has claimed. */
  labels(): Iterable<string> {
    return this.#unclaimed.keys();
  }

  /** All of a stream from its start on, in order, for its one new owner, who frees it. */
  claim(label: string): readonly Found[] {
    const found = this.#unclaimed.get(label) ?? [];
    this.#unclaimed.delete(label);
    return found;
  }

  /** The rest belongs to tasks that are over. */
  forgetUnclaimed(): void {
    for (const found of this.#unclaimed.values()) {
      for (const { extent } of found) this.#forget(extent as Placed);
    }
    this.#unclaimed.clear();
    this.#compact();
  }

  /**
   * With a stretch another process finds it again, and then it may have the room that is held for that.
   * Undefined when the disk refuses; `onFailure` has been told, now or when that began.
   */
  append(text: string, stretch?: Stretch): Extent | undefined {
    const packed = pack(this.#scratch, text, stretch);
    const isLabelled = stretch !== undefined;
    return this.#attempt(() => this.#write(packed, isLabelled), isLabelled);
  }

  read(extent: Extent): string {
    return this.#bytesOf(extent as Placed).toString("utf8", (extent as Placed).head);
  }

  free(extent: Extent): void {
    this.#forget(extent as Placed);
    this.#compact();
  }

  /** What is labelled and was not freed is there for the next process. */
  close(): void {
    for (const segment of this.#segments) {
      const isKept = [...segment.extents].some(({ isLabelled }) => isLabelled);
      if (isKept) closeSync(segment.fd);
      else this.#drop(segment);
    }
    this.#segments.clear();
    this.#newest = undefined;
  }

  /** A file may end in half a record, so nothing is ever appended to one of an earlier process. */
  #recover(): void {
    const { folder } = this.#options;
    const names = readdirSync(folder).filter((name) => name.endsWith(suffix));
    const numbered = names.map((name) => ({ name, number: Number.parseInt(name, 10) || 0 }));
    const survivors = new Survivors<Left>();
    for (const { name, number } of numbered.sort((a, b) => a.number - b.number)) {
      const path = join(folder, name);
      const segment = this.#add(path, openSync(path, "r"));
      const file = readFileSync(segment.fd);
      segment.size = file.length;
      this.#diskBytes += file.length;
      scan(file, (record) => survivors.add({ ...record, segment }));
      this.#made = number + 1;
    }
    for (const [label, chain] of survivors.chains()) {
      const found = chain.map(({ segment, from, bytes, head, stretch }) => {
        return { extent: this.#hold({ segment, from, bytes, head, isLabelled: true }), stretch };
      });
      this.#unclaimed.set(label, found);
    }
    for (const segment of this.#segments) if (segment.extents.size === 0) this.#drop(segment);
  }

  #attempt(write: () => Placed, mayMakeRoom = false): Placed | undefined {
    try {
      const placed = write();
      this.#isRefused = false;
      return placed;
    } catch (error) {
      if (mayMakeRoom && isDiskFull(error) && this.#options.makeRoom?.() === true) {
        return this.#attempt(write);
      }
      if (!this.#isRefused) this.#options.onFailure(error as Error);
      this.#isRefused = true;
      return undefined;
    }
  }

  #write({ bytes, length, head }: Packed, isLabelled: boolean): Placed {
    const segment = this.#writable(length);
    const from = segment.size;
    for (let done = 0; done < length; ) {
      done += writeSync(segment.fd, bytes, done, length - done, from + done);
    }
    segment.size += length;
    this.#diskBytes += length;
    return this.#hold({ segment, from, bytes: length, head, isLabelled });
  }

  #hold(placed: Placed): Placed {
    placed.segment.extents.add(placed);
    placed.segment.liveBytes += placed.bytes;
    this.#liveBytes += placed.bytes;
    return placed;
  }

  #bytesOf({ segment, from, bytes }: Placed): Buffer {
    const buffer = Buffer.allocUnsafe(bytes);
    for (let done = 0; done < bytes; ) {
      const count = readSync(segment.fd, buffer, done, bytes - done, from + done);
      if (count === 0) throw new Error(`The segment log ${segment.path} was cut from outside.`);
      done += count;
    }
    return buffer;
  }

  #writable(bytes: number): Segment {
    const newest = this.#newest;
    if (newest !== undefined && newest.size + bytes <= this.#segmentBytes) return newest;
    const path = join(this.#options.folder, `${this.#made}${suffix}`);
    this.#newest = this.#add(path, openSync(path, "w+", 0o600));
    this.#made++;
    if (newest?.extents.size === 0) this.#drop(newest);
    return this.#newest;
  }

  #add(path: string, fd: number): Segment {
    const segment: Segment = { path, fd, extents: new Set(), size: 0, liveBytes: 0 };
    this.#segments.add(segment);
    return segment;
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
      const { bytes: length, head, isLabelled } = extent;
      const moved = this.#attempt(() =>
        this.#write({ bytes: this.#bytesOf(extent), length, head }, isLabelled),
      );
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
