// From the frames of llama-server's native completion stream to batches of tokens. It knows the traps of that
// stream: a token whose text ends inside a character is never framed, so its id is lost; text that may become
// a stop string is held back, and is lost when the limit comes first. It does no I/O.

import type { AttemptEnd, EngineFrame } from "../adapter.ts";
import { lost } from "../fault.ts";
import { isCount, isDuration } from "./count.ts";
import { type UpstreamError, upstreamError } from "./failures.ts";

export interface ReadFrames {
  readonly frames: readonly EngineFrame[];
  readonly tokens: number;
  readonly end?: AttemptEnd;
  /** Ids at the end whose text, if they have one, was never sent; only beside `end`. */
  readonly heldIds?: readonly number[];
}

interface WireFrame {
  readonly content?: unknown;
  readonly tokens?: unknown;
  readonly stop?: unknown;
  readonly tokens_predicted?: unknown;
  readonly prompt_progress?: unknown;
  readonly error?: unknown;
}

interface WireEnd {
  readonly stop_type?: unknown;
  readonly truncated?: unknown;
  readonly tokens_evaluated?: unknown;
  readonly timings?: {
    readonly cache_n?: unknown;
    readonly prompt_ms?: unknown;
    readonly predicted_ms?: unknown;
  } | null;
}

/** One stream, from its first frame to its last. */
export class CompletionFrames {
  readonly #redact: (text: string) => string;
  #tokens = 0;
  /** Ids since the last text; undefined as soon as the engine has left one out. */
  #ids: number[] | undefined = [];

  constructor(redact: (text: string) => string) {
    this.#redact = redact;
  }

  /** @throws EngineError for an error frame, and for one that cannot be read */
  read(events: readonly string[]): ReadFrames {
    const frames: EngineFrame[] = [];
    for (const event of events) {
      const frame = plainToken(event) ?? this.#parse(event);
      if (frame.stop === true) return this.#finish(frame, frames);
      if (frame.prompt_progress === undefined) this.#take(frame, event, frames);
    }
    return { frames, tokens: this.#tokens };
  }

  #parse(event: string): WireFrame {
    let frame: unknown;
    try {
      frame = JSON.parse(event);
    } catch {
      throw unreadable(this.#redact(event));
    }
    if (typeof frame !== "object" || frame === null) throw unreadable(this.#redact(event));
    const { error } = frame as WireFrame;
    if (error !== undefined) throw upstreamError(errorIn(error), this.#redact);
    return frame;
  }

  #take(
    { content, tokens, tokens_predicted: predicted }: WireFrame,
    event: string,
    frames: EngineFrame[],
  ): void {
    if (typeof content !== "string" || !isCount(predicted) || !areIds(tokens)) {
      throw unreadable(this.#redact(event));
    }
    if (predicted - this.#tokens !== tokens.length) this.#ids = undefined;
    this.#tokens = predicted;
    const ids = this.#ids;
    if (content === "") {
      if (ids !== undefined) ids.push(...tokens);
    } else if (ids === undefined) {
      frames.push({ t: content });
    } else if (ids.length === 0) {
      frames.push({ t: content, ids: tokens });
    } else {
      ids.push(...tokens);
      frames.push({ t: content, ids });
      this.#ids = [];
    }
  }

  #finish(frame: WireFrame & WireEnd, frames: EngineFrame[]): ReadFrames {
    // Engines other than llama-server itself may put the last text into the last frame.
    if (frame.content !== "" || (Array.isArray(frame.tokens) && frame.tokens.length > 0)) {
      this.#take(frame, JSON.stringify(frame), frames);
    }
    const { tokens_predicted: predicted, tokens_evaluated: promptTokens } = frame;
    const cachedTokens = frame.timings?.cache_n ?? 0;
    const prefillMs = frame.timings?.prompt_ms ?? 0;
    const decodeMs = frame.timings?.predicted_ms ?? 0;
    const isTimed = isDuration(prefillMs) && isDuration(decodeMs);
    if (!isCount(predicted) || !isCount(promptTokens) || !isCount(cachedTokens) || !isTimed) {
      throw unreadable(this.#redact(JSON.stringify(frame)));
    }
    const heldIds = predicted === this.#tokens ? this.#ids : undefined;
    this.#tokens = predicted;
    const end: AttemptEnd = { why: whyOf(frame), promptTokens, cachedTokens, prefillMs, decodeMs };
    return { frames, tokens: predicted, end, ...(heldIds?.length && { heldIds }) };
  }
}

const number = String.raw`(?:0|[1-9]\d{0,9})`;
const tokenFrame = new RegExp(
  String.raw`^\{"index":${number},"content":"([^"\\\x00-\x1f]*)","tokens":\[(${number})\],"stop":false,` +
    String.raw`"id_slot":-?${number},"tokens_predicted":(${number}),"tokens_evaluated":${number}\}$`,
);

/**
 * The frame of one token, its text without escapes, as llama-server writes it: what JSON.parse would find, in
 * a third of the time, and nothing takes more of it. Undefined for every other event.
 */
function plainToken(event: string): WireFrame | undefined {
  const found = tokenFrame.exec(event);
  if (found === null) return undefined;
  const [, content, id, predicted] = found;
  return { content, tokens: [Number(id)], tokens_predicted: Number(predicted) };
}

const areIds = (tokens: unknown): tokens is number[] => Array.isArray(tokens) && tokens.every(isCount);

function whyOf({ stop_type: type, truncated }: WireEnd): AttemptEnd["why"] {
  switch (type) {
    case "eos":
      return "eos";
    case "word":
      return "stop";
    case "limit":
      return truncated === true ? "context_full" : "limit";
    default:
      throw lost("reset", `The engine ended a stream for no reason it names (${String(type)}).`);
  }
}

/**
 * Whether a text at the end may be one that waited to become a stop string: then it ends with the start of
 * one.
 */
export function endsInsideStop(text: string, stops: readonly string[]): boolean {
  return stops.some((stop) => {
    for (let length = Math.min(stop.length - 1, text.length); length > 0; length -= 1) {
      if (text.endsWith(stop.slice(0, length))) return true;
    }
    return false;
  });
}

function errorIn(error: unknown): UpstreamError {
  if (typeof error !== "object" || error === null) return { status: 500, message: String(error) };
  const { code, message } = error as { code?: unknown; message?: unknown };
  return {
    status: typeof code === "number" ? code : 500,
    message: typeof message === "string" ? message : JSON.stringify(error),
  };
}

function unreadable(event: string): Error {
  return lost("reset", `The engine sent a frame that cannot be read: ${event.slice(0, 200)}`);
}
