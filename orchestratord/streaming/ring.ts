// The text of one stream: the newest frames in memory, older ones in the segment log, all of it readable at
// any place. A place counts characters of the plain text (without what `verbose` adds). Of a stream that is
// to survive the process everything is in the log as it comes. It knows nothing of readers or of what a frame
// means beyond where it ends.

import { batchText, piecesOf, readFrames } from "./frame-text.ts";
import type { Piece } from "./reader.ts";
import { beginning, type Mark, type Stretch } from "./segment-record.ts";
import type { Extent, Segments } from "./segments.ts";
import { decode, type Entry, encode } from "./stored-entries.ts";

interface Kept extends Entry {
  readonly at: number;
  /** Token indexes up to and with this entry. */
  readonly upTo: number;
  /** How the stream stands after it; undefined where it is not to survive. */
  mark: Mark | undefined;
  /** Its record in the log, as long as no larger one holds it, too. */
  extent: Extent | undefined;
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

/** What an entry costs in memory beside its text, and what more where it is to survive. */
const entryBytes = 152;
const markedBytes = 240;

/** A log that was refused is tried again after so long: a refusal costs more than an append. */
const askAgainMs = 250;

/** A stream that the disk refuses takes so much more memory than its room, and then has to end. */
const overfullFactor = 256;

/** A reader that catches up gets about this much at once. */
const pieceChars = 16_384;

export class Ring {
  readonly #roomBytes: number;
  readonly #segments: Segments;
  readonly #label: string;
  #spilled: Spilled[] = [];
  #kept: Kept[] = [];
  #keptBytes = 0;
  #end = 0;
  #frames = 0;
  #lastMetricsAt = -1;
  /** So much is kept before the disk is asked again. */
  #spillAtBytes: number;
  /** After the last spilled entry. */
  #spilledMark: Mark = beginning;
  #refusedUntilMs: number = Number.NEGATIVE_INFINITY;

  /** @param o.label whose text it is, for what is to survive */
  constructor(o: { readonly roomBytes: number; readonly segments: Segments; readonly label: string }) {
    this.#roomBytes = o.roomBytes;
    this.#spillAtBytes = o.roomBytes;
    this.#segments = o.segments;
    this.#label = o.label;
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

  /**
   * @param mark how the stream stands after the entry, which then is in the log when this returns, or as soon
   *   as the disk takes it. All entries of a stream have one or none; but its terminal frame never has one,
   *   since a stream that is over is nobody's to go on with.
   */
  append(entry: Entry, mark?: Mark): void {
    if (entry.verbose !== undefined) this.#lastMetricsAt = this.#end;
    this.#frames += entry.count;
    const kept = { ...entry, at: this.#end, upTo: this.#frames, mark, extent: undefined };
    this.#kept.push(kept);
    this.#end += entry.text.length;
    this.#keptBytes += costOf(kept);
    if (mark !== undefined) this.#log(entry.atMs);
    if (this.#keptBytes > this.#spillAtBytes) this.#spill();
  }

  /** What there is so far is to survive, too: it goes into the log with the next entry. */
  mark(mark: Mark): void {
    for (const kept of this.#kept) {
      kept.mark = mark;
      this.#keptBytes += markedBytes;
    }
  }

  /**
   * Takes over what an earlier process has logged of this stream. The newest entries come into memory; older
   * ones stay where they are.
   *
   * @returns how the stream stood; undefined where nothing is left of it
   */
  recover(): Mark | undefined {
    const found = this.#segments.claim(this.#label);
    const last = found.at(-1)?.stretch;
    if (last === undefined) return undefined;
    this.#spilled = found.map(({ extent, stretch: { at, end, after } }) => {
      return { extent, at, end, upTo: after.frames };
    });
    this.#end = last.end;
    this.#frames = last.after.frames;
    let older = found.length;
    while (older > 0 && this.#keptBytes < this.#roomBytes) {
      const [entry, ...others] = this.#unspill(this.#spilled[older - 1] as Spilled);
      if (others.length > 0) break;
      const { extent, stretch } = found[--older] as (typeof found)[number];
      const kept = { ...(entry as Kept), mark: stretch.after, extent };
      this.#kept.push(kept);
      this.#keptBytes += costOf(kept);
    }
    this.#kept.reverse();
    this.#spilled.length = older;
    this.#spilledMark = found[older - 1]?.stretch.after ?? beginning;
    for (const { at, verbose } of this.newestFirst()) {
      if (verbose === undefined) continue;
      this.#lastMetricsAt = at;
      break;
    }
    return last.after;
  }

  /** Where the first entry ends; 0 while there is none. */
  get firstEnd(): number {
    const [oldest] = this.#spilled;
    const first = oldest === undefined ? this.#kept[0] : this.#unspill(oldest)[0];
    return first?.text.length ?? 0;
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

  *newestFirst(): Generator<Entry & { readonly at: number }> {
    yield* this.#kept.toReversed();
    for (const extent of this.#spilled.toReversed()) yield* this.#unspill(extent).reverse();
  }

  release(): void {
    for (const { extent } of this.#spilled) this.#segments.free(extent);
    this.#freeEach(this.#kept);
    this.#spilled = [];
    this.#kept = [];
    this.#keptBytes = 0;
  }

  /** Everything that is not in the log yet, in order: more than one entry only after the disk has refused. */
  #log(nowMs: number): void {
    if (nowMs < this.#refusedUntilMs) return;
    // After a long refusal large records of a spill serve better than one for each entry.
    if (this.#keptBytes > 2 * this.#roomBytes) this.#spill();
    let next = this.#kept.length;
    while (next > 0 && this.#kept[next - 1]?.extent === undefined) next--;
    for (; next < this.#kept.length; next++) {
      const extent = this.#write(next, next + 1);
      if (extent === undefined) {
        this.#refusedUntilMs = nowMs + askAgainMs;
        return;
      }
      (this.#kept[next] as Kept).extent = extent;
    }
  }

  /**
   * The older half goes, so that one write serves many batches, and one record replaces many. Where the disk
   * refuses, the next try is after as much again, and a try costs one write however much has piled up.
   */
  #spill(): void {
    let gone = 0;
    let extent: Extent | undefined;
    do {
      const from = gone;
      let bytes = 0;
      const goal = Math.max(1, Math.min(this.#roomBytes, this.#keptBytes - this.#roomBytes / 2));
      while (gone < this.#kept.length && bytes < goal && this.#mayShare(from, gone)) {
        bytes += costOf(this.#kept[gone++] as Kept);
      }
      extent = this.#write(from, gone);
      if (extent === undefined) gone = from;
      else {
        const [first, last] = [this.#kept[from], this.#kept[gone - 1]] as [Kept, Kept];
        this.#spilled.push({ extent, at: first.at, end: last.at + last.text.length, upTo: last.upTo });
        this.#keptBytes -= bytes;
      }
    } while (extent !== undefined && this.#keptBytes > this.#roomBytes);
    this.#spilledMark = this.#before(gone);
    this.#freeEach(this.#kept.slice(0, gone));
    this.#kept = this.#kept.slice(gone);
    this.#spillAtBytes = extent === undefined ? this.#keptBytes + this.#roomBytes : this.#roomBytes;
  }

  /** A record survives as a whole or not at all. */
  #mayShare(one: number, other: number): boolean {
    return (this.#kept[one]?.mark === undefined) === (this.#kept[other]?.mark === undefined);
  }

  /** Kept entries as one record. */
  #write(from: number, to: number): Extent | undefined {
    const leaving = this.#kept.slice(from, to);
    const [first, last] = [leaving[0], leaving.at(-1)] as [Kept, Kept];
    if (last.mark === undefined) return this.#segments.append(encode(leaving));
    const stretch: Stretch = {
      label: this.#label,
      at: first.at,
      end: last.at + last.text.length,
      before: this.#before(from).lanes,
      after: last.mark,
    };
    return this.#segments.append(encode(leaving), stretch);
  }

  #before(n: number): Mark {
    return this.#kept[n - 1]?.mark ?? this.#spilledMark;
  }

  #freeEach(entries: readonly Kept[]): void {
    for (const { extent } of entries) if (extent !== undefined) this.#segments.free(extent);
  }

  #unspill({ extent, at, upTo }: Spilled): Kept[] {
    const entries = decode(this.#segments.read(extent));
    let frames = upTo - entries.reduce((sum, { count }) => sum + count, 0);
    let place = at;
    return entries.map((entry) => {
      frames += entry.count;
      const kept = { ...entry, at: place, upTo: frames, mark: undefined, extent: undefined };
      place += entry.text.length;
      return kept;
    });
  }
}

function costOf({ text, verbose, ids, mark }: Kept): number {
  const other = verbose === undefined ? 0 : Buffer.byteLength(verbose);
  const beside = mark === undefined ? entryBytes : entryBytes + markedBytes;
  return Buffer.byteLength(text) + other + (ids === undefined ? 0 : 8 * ids.length) + beside;
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
