// One client that follows a stream: a cursor and a socket. It is never waited for; when the socket is full it
// stops and goes on from its cursor once that has drained. It owns no text, so its memory does not grow.

import { heartbeatText } from "@llama-orch/contract";
import type { Pulse, Pulsing } from "./pulse.ts";

/** Where frames leave to. */
export interface Sink {
  /** False: taken, but full; the next write waits for the drain. */
  write(text: string): boolean;
  /** Called once per reader, before the first write. */
  onDrain(drained: () => void): void;
  /** Everything was written. */
  end(): void;
  /** Nothing more will be written, and what was may be lost. */
  destroy(): void;
}

/** What a reader reads from: one long text that may still grow, with places counted in characters. */
export interface Source {
  readonly length: number;
  readonly isOver: boolean;
  /**
   * Whole frames from a place on, not too many at once. `lean` leaves out metrics that are out of date. The
   * same place again: nothing may be read there now.
   */
  read(at: number, how: { readonly verbose: boolean; readonly lean: boolean }): Piece;
  left(reader: Reader): void;
}

export interface Piece {
  readonly text: string;
  readonly next: number;
}

export interface ReaderLimits {
  readonly heartbeatMs: number;
  readonly readerStallMs: number;
}

/** The place of a reader whose position does not exist yet. */
export const nowhere: number = Number.POSITIVE_INFINITY;

export class Reader implements Pulsing {
  readonly #source: Source;
  readonly #sink: Sink;
  readonly #pulse: Pulse;
  readonly #limits: ReaderLimits;
  readonly verbose: boolean;
  at: number;
  #full = false;
  /** It was full and has not caught up since. */
  #behind = false;
  #closed = false;
  #touchedMs: number;

  constructor(o: {
    readonly source: Source;
    readonly sink: Sink;
    readonly pulse: Pulse;
    readonly limits: ReaderLimits;
    readonly verbose: boolean;
    readonly at: number;
  }) {
    this.#source = o.source;
    this.#sink = o.sink;
    this.#pulse = o.pulse;
    this.#limits = o.limits;
    this.verbose = o.verbose;
    this.at = o.at;
    this.#touchedMs = o.pulse.nowMs;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  open(): void {
    this.#pulse.join(this);
    this.#touchedMs = this.#pulse.nowMs;
    this.#sink.onDrain(() => {
      this.#full = false;
      this.#touchedMs = this.#pulse.nowMs;
      this.pump();
    });
  }

  /** The client has gone. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pulse.leave(this);
    this.#source.left(this);
  }

  /** Ends the connection without a terminal frame; the client may come back. */
  drop(): void {
    if (this.#closed) return;
    this.#sink.destroy();
    this.close();
  }

  /** Text that was just added at `from`; a reader elsewhere gets it when it comes there. */
  offer(text: string, from: number, to: number): void {
    if (this.at !== from || this.#full || this.#closed) return;
    this.at = to;
    this.#write(text);
  }

  /** A comment has no place in the stream: who cannot take it now never gets it. */
  comment(text: string): void {
    if (!this.#full && !this.#closed) this.#write(text);
  }

  /** Begins at the cursor, after `rest`: what the reader still lacks of a frame it has a part of. */
  goOn(rest: string): void {
    if (rest !== "" && !this.#closed) this.#write(rest);
    this.pump();
  }

  pump(): void {
    while (!this.#full && !this.#closed && this.at < this.#source.length) {
      const { text, next } = this.#source.read(this.at, { verbose: this.verbose, lean: this.#behind });
      if (next === this.at) return;
      this.at = next;
      if (text !== "") this.#write(text);
    }
    if (this.#closed || this.#full || this.at < this.#source.length) return;
    this.#behind = false;
    if (!this.#source.isOver || this.at === nowhere) return;
    this.#sink.end();
    this.close();
  }

  beat(nowMs: number): void {
    const quietMs = nowMs - this.#touchedMs;
    if (this.#full) {
      if (quietMs >= this.#limits.readerStallMs) this.drop();
    } else if (quietMs >= this.#limits.heartbeatMs) this.#write(heartbeatText);
  }

  #write(text: string): void {
    this.#touchedMs = this.#pulse.nowMs;
    if (this.#sink.write(text)) return;
    this.#full = true;
    this.#behind = true;
  }
}
