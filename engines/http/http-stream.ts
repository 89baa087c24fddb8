// One answer that is read while it is written, on a connection of its own: engines close it behind a stream,
// whatever their headers say, so it never comes from the pool. What arrives with one read of the socket comes
// out in one piece. Closing, aborting and running out of time destroy the socket at once. It writes to the
// socket itself, since a client for many calls on many connections costs more than all else about one call.

import type { Socket } from "node:net";
import { AnswerReader } from "./answer-reader.ts";
import { connectWithin } from "./connection.ts";
import { failureOf, httpFailure } from "./http-failure.ts";
import { openTunnel } from "./tunnel.ts";

export interface StreamCall {
  /** Its origin is what is asked. */
  readonly server: URL;
  /** The way to it; straight there without one. */
  readonly proxy: URL | undefined;
  readonly path: string;
  /** Each with its end. */
  readonly headerLines: string;
  readonly body: string;
  readonly connectMs: number;
  /** From here to the first byte of the answer, connecting included. */
  readonly firstByteMs: number;
}

/** A reader that is slower than the engine leaves at most this much here; then the socket waits. */
const unreadBytesMax = 1 << 20;

export class HttpStream implements AsyncIterable<Uint8Array> {
  readonly #where: string;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  readonly #started = Promise.withResolvers<void>();
  readonly #answer = new AnswerReader((piece) => {
    this.#unread.push(piece);
    this.#unreadBytes += piece.length;
  });
  readonly #socket: Socket;
  #unread: Buffer[] = [];
  #unreadBytes = 0;
  #done = false;
  #failure: unknown;
  #wake: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #armedMs = 0;
  #limitMs = 0;
  #since = 0;

  /** Resolves with the head of the answer. @throws HttpFailure or the signal's reason */
  static async open(call: StreamCall, signal: AbortSignal): Promise<HttpStream> {
    signal.throwIfAborted();
    const { proxy } = call;
    const stream =
      proxy === undefined ? new HttpStream(call, signal) : await HttpStream.#through(proxy, call, signal);
    await stream.#started.promise;
    return stream;
  }

  static async #through(proxy: URL, call: StreamCall, signal: AbortSignal): Promise<HttpStream> {
    const startedAt = performance.now();
    const tunnel = await openTunnel({ proxy, server: call.server, limitMs: call.connectMs }, signal);
    // Nobody may have listened in between.
    if (signal.aborted) tunnel.destroy();
    signal.throwIfAborted();
    const firstByteMs = Math.max(1, Math.ceil(call.firstByteMs - (performance.now() - startedAt)));
    return new HttpStream({ ...call, firstByteMs }, signal, tunnel);
  }

  private constructor(call: StreamCall, signal: AbortSignal, tunnel?: Socket) {
    this.#where = `${call.server.origin}${call.path}`;
    this.#signal = signal;
    this.#onAbort = () => this.#end(signal.reason);
    signal.addEventListener("abort", this.#onAbort, { once: true });
    this.expectWithin(call.firstByteMs);
    this.#socket = tunnel ?? connectWithin(call.connectMs, call.server, this.#where);
    this.#listen(this.#socket);
    this.#socket.write(requestText(call));
  }

  get status(): number {
    return this.#answer.status;
  }

  /**
   * From now on something worth waiting for must come within this time, or the stream fails with `timeout`.
   * Called again by whoever reads, whenever it came: bytes alone do not count.
   */
  expectWithin(limitMs: number): void {
    if (this.#done) return;
    this.#since = performance.now();
    this.#limitMs = limitMs;
    // A timer that fires too early arms itself again, so only a shorter limit needs a new one.
    if (this.#timer !== undefined && this.#armedMs <= limitMs) return;
    this.#arm(limitMs);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const [first] = this.#unread;
        if (first !== undefined) {
          const bytes = this.#unread.length === 1 ? first : Buffer.concat(this.#unread, this.#unreadBytes);
          this.#unread = [];
          this.#unreadBytes = 0;
          if (this.#socket.isPaused()) this.#socket.resume();
          yield bytes;
        } else if (this.#failure !== undefined) {
          throw this.#failure;
        } else if (this.#done) {
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      this.close();
    }
  }

  /** @throws HttpFailure, also when the text grows over the limit */
  async text(maxBytes: number): Promise<string> {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of this) {
      bytes += piece.length;
      if (bytes > maxBytes) throw httpFailure("too_large", this.#where, `more than ${maxBytes} bytes`);
      pieces.push(piece);
    }
    return Buffer.concat(pieces).toString("utf8");
  }

  close(): void {
    this.#end(undefined);
  }

  #listen(socket: Socket): void {
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
    socket.on("end", () => this.#read(() => this.#answer.end()));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("it was closed")));
    // A tunnel stands still until it has an owner.
    socket.resume();
  }

  #take(bytes: Buffer): void {
    if (this.#done) return;
    this.#read(() => this.#answer.read(bytes));
    if (this.#unreadBytes > unreadBytesMax) this.#socket.pause();
    this.#notify();
  }

  #read(read: () => void): void {
    try {
      read();
    } catch (error) {
      this.#fail(error as Error);
    }
    if (this.status !== 0) this.#started.resolve();
    if (this.#answer.isOver) this.close();
  }

  /** What breaks after the end is no failure, and not worth an error. */
  #fail(error: Error): void {
    if (!this.#done) this.#end(failureOf(error, this.#where));
  }

  #end(failure: unknown): void {
    if (this.#done) return;
    this.#done = true;
    this.#failure = failure;
    clearTimeout(this.#timer);
    this.#signal.removeEventListener("abort", this.#onAbort);
    // What was unread when the reader gave up is nobody's; what a broken connection still brought is.
    if (this.#signal.aborted) this.#unread = [];
    // A close before the head of the answer is a failure for whoever waits for it.
    if (this.status === 0) this.#started.reject(failure ?? httpFailure("reset", this.#where));
    this.#notify();
    this.#socket.destroy();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  #arm(afterMs: number): void {
    clearTimeout(this.#timer);
    this.#armedMs = afterMs;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#leftMs() > 1) this.#arm(this.#leftMs());
      // This process may be the one that stood still: what waits on the socket is read before the verdict.
      else setImmediate(() => this.#judge());
    }, afterMs);
  }

  #judge(): void {
    if (this.#done || this.#timer !== undefined) return;
    // Bytes that nobody took yet prove that the engine is not the slow one.
    if (this.#unread.length > 0) this.#since = performance.now();
    const leftMs = this.#leftMs();
    if (leftMs > 1) this.#arm(leftMs);
    else this.#end(httpFailure("timeout", this.#where, `${this.#limitMs} ms`));
  }

  #leftMs(): number {
    return this.#limitMs - (performance.now() - this.#since);
  }
}

function requestText({ server, path, headerLines, body }: StreamCall): string {
  const framing = `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n`;
  return `POST ${path} HTTP/1.1\r\nhost: ${server.host}\r\n${headerLines}${framing}\r\n${body}`;
}
