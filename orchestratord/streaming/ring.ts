// The text of one stream: the newest frames in memory, older ones in the segment log, all of it readable at
// any place. A place counts characters of the plain text (without what `verbose` adds). It knows nothing of
// readers or of what a frame means beyond where it ends.

import { batchText, piecesOf, readFrames } from "./frame-text.ts";
import type { Piece } from "./reader.ts";
import type { Extent, Segments } from "./segments.ts";

/** Frames that came together. */
export interface Entry {
  readonly text: string;
  /** Set for metrics alone: what a verbose reader gets instead. */
  readonly verbose?: string | undefined;
  /** Token indexes it holds. */
  readonly count: number;
  /** All ids of its tokens, where the engine told them. */
  readonly ids?: readonly number[] | undefined;
  readonly atMs: number;
}

interface Kept extends Entry {
  readonly at: number;
  /** Token indexes up to and with this entry. */
  readonly upTo: number;
}

interface Spilled {
  readonly extent: Extent;
  readonly at: number;
  readonly end: number;
  readonly upTo: number;
}

/** The place after a frame, its digest, and what is left of a batch that the position lies within. */
export interface Found {
  readonly at: number;
  readonly digest: string;
  readonly rest: string;
}

/** What an entry costs in memory beside its text. */
const entryBytes = 152;

/** A stream that the disk refuses takes so much more memory than its room, and then has to end. */
const overfullFactor = 256;

/** A reader that catches up gets about this much at once. */
const pieceChars = 16_384;

export class Ring {
  readonly #roomBytes: number;
  readonly #segments: Segments;
  #spilled: Spilled[] = [];
  #kept: Kept[] = [];
  #keptBytes = 0;
  #end = 0;
  #frames = 0;
  #lastMetricsAt = -1;
  /** So much is kept before the disk is asked again. */
  #spillAtBytes: number;

  constructor(o: { readonly roomBytes: number; readonly segments: Segments }) {
    this.#roomBytes = o.roomBytes;
    this.#spillAtBytes = o.roomBytes;
    this.#segments = o.segments;
  }

  get end(): number {
    return this.#end;
  }

  get frames(): number {
    return this.#frames;
  }

  /** Memory that the newest frames take, as far as it is limited. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  append(entry: Entry): void {
    if (entry.verbose !== undefined) this.#lastMetricsAt = this.#end;
    this.#frames += entry.count;
    this.#kept.push({ ...entry, at: this.#end, upTo: this.#frames });
    this.#end += entry.text.length;
    this.#keptBytes += costOf(entry);
    if (this.#keptBytes > this.#spillAtBytes) this.#spill();
  }

  /** The disk has refused for so long that memory can hold no more of this stream. */
  get isOverfull(): boolean {
    return this.#keptBytes > overfullFactor * this.#roomBytes;
  }

  /** Whole entries from a place on, up to about `pieceChars` and never past the entry that reaches `to`. */
  read(
    at: number,
    {
      verbose,
      lean,
      to = this.#end,
    }: { readonly verbose: boolean; readonly lean: boolean; readonly to?: number },
  ): Piece & { readonly dropped: number } {
    const extent = this.#spilled.length > 0 ? firstWhere(this.#spilled, (one) => one.end > at) : undefined;
    const entries = extent === undefined ? this.#kept : this.#unspill(extent);
    const first = indexWhere(entries, (entry) => entry.at + entry.text.length > at);
    let text = "";
    let next = at;
    let dropped = 0;
    for (let n = first; n < entries.length && text.length < pieceChars && next < to; n++) {
      const entry = entries[n] as Kept;
      const skip = next - entry.at;
      next = entry.at + entry.text.length;
      if (entry.verbose === undefined) text += skip === 0 ? entry.text : entry.text.slice(skip);
      else if (!lean || entry.at === this.#lastMetricsAt) text += verbose ? entry.verbose : entry.text;
      else dropped++;
    }
    return { text, next, dropped };
  }

  /** The place right after a token that exists. */
  find(index: number): Found {
    const extent = firstWhere(this.#spilled, (one) => one.upTo > index);
    const entries = extent === undefined ? this.#kept : this.#unspill(extent);
    const entry = firstWhere(entries, (one) => one.upTo > index) as Kept;
    for (const frame of readFrames(entry.text)) {
      if ((frame.index ?? -1) < index) continue;
      const digest = frame.digest as string;
      const left = piecesOf(frame.data).filter(({ i }) => i > index);
      return { at: entry.at + frame.end, digest, rest: left.length === 0 ? "" : batchText(left, digest) };
    }
    throw new Error(`Frame ${index} is missing from a stream of ${this.#frames} frames.`);
  }

  /** Everything in order; at most one extent is in memory at a time. Nothing may be appended meanwhile. */
  *entries(): Generator<Entry> {
    for (const extent of this.#spilled) yield* this.#unspill(extent);
    yield* this.#kept;
  }

  *newestFirst(): Generator<Entry> {
    yield* this.#kept.toReversed();
    for (const extent of this.#spilled.toReversed()) yield* this.#unspill(extent).reverse();
  }

  release(): void {
    for (const { extent } of this.#spilled) this.#segments.free(extent);
    this.#spilled = [];
    this.#kept = [];
    this.#keptBytes = 0;
  }

  /**
   * The older half goes, so that one write serves many batches. Where the disk refuses, the next try is after
   * as much again, and a try costs one write however much has piled up.
   */
  #spill(): void {
    let gone = 0;
    let extent: Extent | undefined;
    do {
      const from = gone;
      let bytes = 0;
      const goal = Math.max(1, Math.min(this.#roomBytes, this.#keptBytes - this.#roomBytes / 2));
      while (gone < this.#kept.length && bytes < goal) bytes += costOf(this.#kept[gone++] as Kept);
      const leaving = this.#kept.slice(from, gone);
      extent = this.#segments.append(encode(leaving));
      if (extent === undefined) gone = from;
      else {
        const [first, last] = [leaving[0], leaving.at(-1)] as [Kept, Kept];
        this.#spilled.push({ extent, at: first.at, end: last.at + last.text.length, upTo: last.upTo });
        this.#keptBytes -= bytes;
      }
    } while (extent !== undefined && this.#keptBytes > this.#roomBytes);
    this.#kept = this.#kept.slice(gone);
    this.#spillAtBytes = extent === undefined ? this.#keptBytes + this.#roomBytes : this.#roomBytes;
  }

  #unspill({ extent, at, upTo }: Spilled): Kept[] {
    const entries = decode(this.#segments.read(extent));
    let frames = upTo - entries.reduce((sum, { count }) => sum + count, 0);
    let place = at;
    return entries.map((entry) => {
      frames += entry.count;
      const kept = { ...entry, at: place, upTo: frames };
      place += entry.text.length;
      return kept;
    });
  }
}

/** One line of JSON about the entries, then their texts as they are: escaping them twice would cost most. */
function encode(entries: readonly Kept[]): Buffer {
  const header = entries.map(({ text, count, atMs, verbose, ids }) => [
    text.length,
    count,
    atMs,
    verbose,
    ids,
  ]);
  return Buffer.from(`${JSON.stringify(header)}\n${entries.map(({ text }) => text).join("")}`);
}

type Row = readonly [
  chars: number,
  count: number,
  atMs: number,
  verbose: string | null,
  ids: number[] | null,
];

function decode(bytes: Buffer): Entry[] {
  const whole = bytes.toString("utf8");
  let from = whole.indexOf("\n") + 1;
  const rows = JSON.parse(whole.slice(0, from)) as Row[];
  return rows.map(([chars, count, atMs, verbose, ids]) => {
    const text = whole.slice(from, from + chars);
    from += chars;
    return { text, count, atMs, verbose: verbose ?? undefined, ids: ids ?? undefined };
  });
}

function costOf({ text, verbose, ids }: Entry): number {
  const other = verbose === undefined ? 0 : Buffer.byteLength(verbose);
  return Buffer.byteLength(text) + other + (ids === undefined ? 0 : 8 * ids.length) + entryBytes;
}

function firstWhere<T>(sorted: readonly T[], holds: (one: T) => boolean): T | undefined {
  return sorted[indexWhere(sorted, holds)];
}

/** The first index from which on something holds; the length where it never does. */
function indexWhere<T>(sorted: readonly T[], holds: (one: T) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(sorted[middle] as T)) high = middle;
    else low = middle + 1;
  }
  return low;
}
