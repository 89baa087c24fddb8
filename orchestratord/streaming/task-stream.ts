// The stream of one task: it gives tokens their index and digest, keeps the frames, and serves any number of
// readers from any place. One writer at a time fills it: the loop for everything but tokens, the relay of the
// current attempt for those. It decides nothing about the task.

import assert from "node:assert/strict";
import {
  type EndFrame,
  type ErrorFrame,
  endFrameId,
  frameText,
  type MetricsFrame,
  OrchError,
  type Result,
  type StartedFrame,
  type StreamPosition,
  type WaitingComment,
} from "@llama-orch/contract";
import type { EngineFrame } from "@llama-orch/engines/adapter";
import type { Clock } from "../clock.ts";
import { idsOf, tailOf } from "./delivered.ts";
import { frameData, plainMetrics } from "./frame-text.ts";
import { locate, notBegun } from "./positions.ts";
import { outcomeWith, type Promised } from "./promise.ts";
import type { Pulse } from "./pulse.ts";
import { nowhere, type Piece, Reader, type Sink, type Source } from "./reader.ts";
import { Replayed } from "./replayed.ts";
import { Ring } from "./ring.ts";
import type { Segments } from "./segments.ts";
import type { Entry } from "./stored-entries.ts";
import { TokenWriter } from "./token-writer.ts";
import { WaitingNews } from "./waiting-news.ts";

export type { Reader, Sink } from "./reader.ts";

export interface StreamSettings {
  readonly ringBytes: number;
  readonly heartbeatMs: number;
  readonly readerStallMs: number;
  /** Merges tokens that arrived together into one frame, so many at most. */
  readonly microbatch: boolean;
  readonly microbatchTokens: number;
}

export interface TaskStreamOptions {
  readonly jobId: string;
  readonly settings: StreamSettings;
  readonly segments: Segments;
  readonly clock: Clock;
  /** One for all streams of the daemon. */
  readonly pulse: Pulse;
  onReaders(count: number): void;
  /** A slow reader missed that many metrics frames. */
  onMetricsDropped?(count: number): void;
}

/** What a client can follow: a live stream, or a finished one out of its transcript. */
export interface Followable {
  /** @throws OrchError INVALID_PARAMS when the position's digest is not that of this stream */
  follow(position: StreamPosition | undefined, sink: Sink, how: { readonly verbose: boolean }): Reader;
}

interface Awaited {
  readonly reader: Reader;
  readonly position: StreamPosition;
}

export class TaskStream implements Followable, Source {
  readonly jobId: string;
  readonly #o: TaskStreamOptions;
  readonly #ring: Ring;
  #writer: TokenWriter;
  readonly #readers = new Set<Reader>();
  /** Readers whose position does not exist yet. */
  #awaited: Awaited[] = [];
  readonly #course = notBegun();
  #isLogged = false;
  /** Set until it has been kept. */
  #promised: Promised | undefined;
  #result: Result | undefined;
  #released = false;
  #tokensOut = 0;
  #waiting: WaitingNews | undefined;
  #earlyMetrics: [MetricsFrame, MetricsFrame] | undefined;

  constructor(o: TaskStreamOptions) {
    this.jobId = o.jobId;
    this.#o = o;
    this.#writer = new TokenWriter(o.settings);
    this.#ring = new Ring({ roomBytes: o.settings.ringBytes, segments: o.segments, label: o.jobId });
  }

  /** With every frame that the segment log has of it, which may be none, and logged from then on. */
  static recovered(o: TaskStreamOptions): TaskStream {
    const stream = new TaskStream(o);
    stream.logFrames();
    const mark = stream.#ring.recover();
    if (mark === undefined) return stream;
    stream.#writer = new TokenWriter(o.settings, mark);
    stream.#tokensOut = mark.tokensOut;
    stream.#course.startedEnd = stream.#ring.firstEnd;
    return stream;
  }

  /**
   * From now on each frame is in the segment log before a reader gets it, so that it survives this process;
   * the terminal one alone is not. May be asked again, and first before there is a token.
   */
  logFrames(): void {
    if (this.#isLogged) return;
    assert(this.frames === 0, `The stream of ${this.jobId} has frames that are not logged.`);
    this.#isLogged = true;
    this.#ring.mark(this.#writer.mark(this.#tokensOut));
  }

  /**
   * The frames to come begin with those that readers of an earlier process may have. They are shown before
   * that is proven: whoever has a part of them knows its digest and is refused where it differs, and whoever
   * reads from the start sees one text, which ends in WORKER_RESET if it was the wrong one. Held back, they
   * would make such a reader wait for as long as the first attempt took.
   */
  promise(promised: Promised): void {
    assert(this.frames === 0, `The stream of ${this.jobId} has frames and can promise no others.`);
    if (promised.frames === 0) return;
    this.#promised = promised;
    this.#tokensOut = promised.tokensOut ?? promised.frames;
  }

  /** Frames that are still to come, since readers may have them: without them the stream is not whole. */
  get isOwing(): boolean {
    return this.#promised !== undefined && !this.#course.isGateClosed && !this.isOver;
  }

  /** Token indexes that readers may have seen. */
  get promisedFrames(): number {
    return this.#promised?.frames ?? this.frames;
  }

  /** Over those. */
  get promisedDigest(): string {
    return this.#promised?.digest ?? this.digest;
  }

  /** Token indexes that can be read. */
  get frames(): number {
    return this.#ring.frames;
  }

  /** Tokens that all promised frames stand for, over all attempts. */
  get tokensOut(): number {
    return this.#tokensOut;
  }

  /** Over all token frames so far. */
  get digest(): string {
    return this.#writer.digest;
  }

  get isStarted(): boolean {
    return this.#course.startedEnd > 0;
  }

  get isOver(): boolean {
    return this.#course.terminalAt !== undefined;
  }

  /** What an embedding or a rerank answers with. */
  get result(): Result | undefined {
    return this.#result;
  }

  get isGateClosed(): boolean {
    return this.#course.isGateClosed;
  }

  get bytesInMemory(): number {
    return this.#ring.keptBytes;
  }

  /** It can take no more: the disk refuses its text, and memory has all that it may. */
  get isOverfull(): boolean {
    return this.#ring.isOverfull;
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** Characters of plain text, the unit of places. */
  get length(): number {
    return this.#ring.end;
  }

  /** Goes out on change, at most once a second, and only until the task is placed. */
  waiting(comment: WaitingComment): void {
    if (this.isStarted || this.#course.isGateClosed) return;
    const { clock, pulse } = this.#o;
    this.#waiting ??= new WaitingNews({ clock, pulse, send: (text) => this.#comment(text) });
    this.#waiting.tell(comment);
  }

  /** Also after the gate was closed: a stream without tokens has its first frame, too. */
  started(frame: StartedFrame): void {
    assert(!this.isStarted, `The stream of ${this.jobId} was started twice.`);
    this.#stopWaiting();
    const text = frameText("started", frameData("started", frame));
    this.#course.startedEnd = text.length;
    this.#add({ text, count: 0, atMs: this.#o.clock.nowMs() });
  }

  /**
   * @param tokensOut what all frames stand for, these included; one token each where nothing is said
   * @returns false, and nothing was added, where they are not what was promised
   */
  tokens(frames: readonly EngineFrame[], tokensOut: number = this.#tokensOut + frames.length): boolean {
    if (this.#course.isGateClosed || this.isOver) return true;
    assert(this.isStarted, `The stream of ${this.jobId} has tokens before it was started.`);
    if (!this.#keepsPromise(frames)) return false;
    this.#tokensOut = tokensOut;
    if (frames.length === 0) return true;
    this.#add({ ...this.#writer.write(frames), atMs: this.#o.clock.nowMs() });
    const early = this.#earlyMetrics;
    if (early === undefined) return true;
    this.#earlyMetrics = undefined;
    this.metrics(...early);
    return true;
  }

  /**
   * Sent as it is to all, with `human` and `prep` of the second frame to those that asked for `verbose`. What
   * comes before the first token waits for it.
   */
  metrics(frame: MetricsFrame, verbose: MetricsFrame): void {
    if (this.#course.isGateClosed || this.isOver) return;
    if (this.frames === 0) {
      this.#earlyMetrics = [frame, verbose];
      return;
    }
    const plain = plainMetrics(frame);
    const { human, prep } = verbose;
    this.#add({
      text: frameText("metrics", frameData("metrics", plain)),
      verbose: frameText("metrics", frameData("metrics", { ...plain, human, prep })),
      count: 0,
      atMs: this.#o.clock.nowMs(),
    });
  }

  /** What the engine answered beside tokens; the end frame is to show it. */
  answered(result: Result): void {
    if (!this.#course.isGateClosed) this.#result = result;
  }

  /**
   * From this moment no reader gets a token or metrics frame, whatever was on its way; one that lacks some
   * gets them after an end that is no cancel.
   */
  closeGate(): void {
    this.#course.isGateClosed = true;
  }

  end(frame: EndFrame): void {
    this.#course.isCanceled = frame.canceled === true;
    this.#course.isWhole = !this.#course.isCanceled;
    this.#finish(frameText("end", frameData("end", frame), endFrameId));
  }

  error(frame: ErrorFrame): void {
    this.#finish(frameText("error", frameData("error", frame), endFrameId));
  }

  /** Whether an engine has told the ids of every token so far. */
  get hasExactIds(): boolean {
    return this.#writer.hasExactIds;
  }

  /** The last characters of what was delivered, so many at least where there are as many. */
  tail(chars: number): string {
    return tailOf(this.#ring, chars);
  }

  /** All token ids of the delivered frames; undefined when an engine has left one out. */
  idsDelivered(): readonly number[] | undefined {
    return this.hasExactIds ? idsOf(this.#ring) : undefined;
  }

  /** For an attempt that starts anew: what it makes must begin with what was delivered. */
  replay(): Replayed {
    return new Replayed(this.#ring);
  }

  /** Every frame so far, in order, with the time it came; nothing may be written meanwhile. */
  entries(): Iterable<Entry> {
    return this.#ring.entries();
  }

  follow(position: StreamPosition | undefined, sink: Sink, how: { readonly verbose: boolean }): Reader {
    assert(!this.#released, `The stream of ${this.jobId} was released; its transcript serves now.`);
    const { pulse, settings } = this.#o;
    const place = position === undefined ? { at: 0, rest: "" } : locate(this.#ring, position, this.#course);
    const at = place?.at ?? nowhere;
    const reader = new Reader({ source: this, sink, pulse, limits: settings, verbose: how.verbose, at });
    if (position !== undefined && place === undefined) this.#awaited.push({ reader, position });
    this.#readers.add(reader);
    reader.open();
    this.#o.onReaders(this.#readers.size);
    if (this.#waiting?.latest !== undefined) reader.comment(this.#waiting.latest);
    if (place !== undefined) reader.goOn(place.rest);
    return reader;
  }

  /**
   * Behind a closed gate readers wait where they are. Once it is known how the task ended, those of a
   * canceled one go on at its terminal frame, and all others with what they lack.
   */
  read(at: number, how: { readonly verbose: boolean; readonly lean: boolean }): Piece {
    const isShut = this.isOver ? this.#course.isCanceled : this.#course.isGateClosed;
    const shutAt =
      isShut && at < (this.#course.terminalAt ?? this.length) ? this.#course.startedEnd : this.length;
    if (at >= shutAt) return { text: "", next: this.#course.terminalAt ?? at };
    const piece = this.#ring.read(at, { ...how, to: shutAt });
    if (piece.dropped > 0) this.#o.onMetricsDropped?.(piece.dropped);
    return piece;
  }

  left(reader: Reader): void {
    this.#readers.delete(reader);
    this.#awaited = this.#awaited.filter((one) => one.reader !== reader);
    if (this.#released && this.#readers.size === 0) this.#ring.release();
    this.#o.onReaders(this.#readers.size);
  }

  /** Closes all connections without a terminal frame; clients may come back. */
  hangUp(): void {
    for (const reader of this.#readers) reader.drop();
  }

  /** Forgets the text once the last reader has it; nobody may follow from now on. */
  release(): void {
    this.#released = true;
    this.#stopWaiting();
    if (this.#readers.size === 0) this.#ring.release();
  }

  #stopWaiting(): void {
    this.#waiting?.close();
    this.#waiting = undefined;
  }

  #comment(text: string): void {
    for (const reader of this.#readers) reader.comment(text);
  }

  #keepsPromise(frames: readonly EngineFrame[]): boolean {
    if (this.#promised === undefined) return true;
    const outcome = outcomeWith(this.#promised, this.#writer, frames);
    if (outcome === "kept") this.#promised = undefined;
    return outcome !== "broken";
  }

  #add(entry: Entry): void {
    const from = this.#ring.end;
    const survives = this.#isLogged && !this.isOver;
    this.#ring.append(entry, survives ? this.#writer.mark(this.#tokensOut) : undefined);
    for (const reader of this.#readers) {
      reader.offer(reader.verbose ? (entry.verbose ?? entry.text) : entry.text, from, this.#ring.end);
    }
    if (this.#awaited.length > 0) this.#welcome();
  }

  #finish(text: string): void {
    assert(this.isStarted, `The stream of ${this.jobId} ends before it was started.`);
    assert(!this.isOver, `The stream of ${this.jobId} has a second terminal frame.`);
    this.#earlyMetrics = undefined;
    this.#course.terminalAt = this.#ring.end;
    this.#add({ text, count: 0, atMs: this.#o.clock.nowMs() });
    for (const reader of this.#readers) reader.pump();
  }

  /** Readers that were ahead of the stream go on where it has come to. */
  #welcome(): void {
    const ahead = this.#awaited;
    this.#awaited = [];
    for (const one of ahead) {
      try {
        const place = locate(this.#ring, one.position, this.#course);
        if (place === undefined) this.#awaited.push(one);
        else {
          one.reader.at = place.at;
          one.reader.goOn(place.rest);
        }
      } catch (error) {
        // It waited for a frame that came out different; asking again it hears why.
        if (!(error instanceof OrchError)) throw error;
        one.reader.drop();
      }
    }
  }
}
