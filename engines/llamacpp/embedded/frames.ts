// Writes the frames of one stream, byte for byte as llama-server does. Frames that follow each other within a
// few milliseconds leave together: nobody reads faster, and each write costs both ends a system call.

import type { ServerResponse } from "node:http";
import type { Sink } from "./generate.ts";

const togetherMs = 8;
/** Beyond this the attempt waits for its reader, so that a client that never reads costs bounded memory. */
const unreadBytesMax = 1 << 20;

export interface FrameOptions {
  readonly promptTokens: number;
  readonly withTokens: boolean;
  /** Seconds of silence after which a comment shows that the connection lives; 0 for none. */
  readonly pingS: number;
}

export class FrameWriter implements Sink {
  readonly #response: ServerResponse;
  readonly #withTokens: boolean;
  readonly #tail: string;
  readonly #ping: NodeJS.Timeout | undefined;
  #pending = "";
  #timer: NodeJS.Timeout | undefined;
  #wroteAt = 0;
  full: Promise<void> | undefined;

  constructor(response: ServerResponse, { promptTokens, withTokens, pingS }: FrameOptions) {
    this.#response = response;
    this.#withTokens = withTokens;
    this.#tail = `,"tokens_evaluated":${promptTokens}}\n\n`;
    this.#ping = pingS > 0 ? setInterval(() => this.#pingAfter(pingS), pingS * 1000).unref() : undefined;
    response.writeHead(200, {
      Server: "llama.cpp",
      "Content-Type": "text/event-stream",
      "X-Accel-Buffering": "no",
    });
    // A prompt that takes long shows by its headers that it has a slot; a short one saves their packet.
    this.#timer = setTimeout(() => this.#flush(), togetherMs);
  }

  write(id: number, text: string, tokensPredicted: number): void {
    const content = text === "" ? '""' : JSON.stringify(text);
    const tokens = this.#withTokens && id >= 0 ? id : "";
    this.#pending += `data: {"index":0,"content":${content},"tokens":[${tokens}],"stop":false,"id_slot":-1,"tokens_predicted":${tokensPredicted}${this.#tail}`;
    // The first token waits for nobody.
    if (this.#wroteAt === 0 || performance.now() - this.#wroteAt >= togetherMs) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), togetherMs);
  }

  /** The last frame, after which nothing may be written. */
  end(frame: unknown): void {
    this.close();
    this.#response.end(`${this.#pending}data: ${JSON.stringify(frame)}\n\n`);
    this.#pending = "";
  }

  /** Stops its timers; the response is whoever's it was. */
  close(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#ping);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending === "") {
      this.#response.flushHeaders();
      return;
    }
    this.#wroteAt = performance.now();
    this.#response.write(this.#pending);
    this.#pending = "";
    if (this.full === undefined && this.#response.writableLength > unreadBytesMax) this.#waitForReader();
  }

  #waitForReader(): void {
    this.full = new Promise((resolve) => {
      const caughtUp = () => {
        this.#response.off("drain", caughtUp).off("close", caughtUp);
        this.full = undefined;
        resolve();
      };
      this.#response.on("drain", caughtUp).on("close", caughtUp);
    });
  }

  #pingAfter(pingS: number): void {
    if (performance.now() - this.#wroteAt >= pingS * 1000) this.#response.write(":\n\n");
  }
}

/** Keeps what an answer without a stream is made of. */
export class Collected implements Sink {
  readonly full = undefined;
  readonly tokens: number[] = [];
  text = "";

  write(id: number, text: string): void {
    if (id >= 0) this.tokens.push(id);
    this.text += text;
  }
}
