// The body of a stream as typed frames. It knows how frames are written on the wire and nothing about
// positions; a body that breaks off or falls silent is a lost connection.

import {
  type EndFrame,
  type ErrorFrame,
  type FrameName,
  frames,
  type MetricsFrame,
  type StartedFrame,
  type TokenFrame,
  type WaitingComment,
} from "@llama-orch/contract";
import { createParser } from "eventsource-parser";
import { ConnectionLost, UnexpectedReplyError } from "./faults.ts";

interface FrameData {
  started: StartedFrame;
  token: TokenFrame;
  metrics: MetricsFrame;
  end: EndFrame;
  error: ErrorFrame;
}

/** `id` proves the position after the frame; only token frames and the last frame have one. */
export type Frame = {
  [N in FrameName]: { readonly event: N; readonly data: FrameData[N]; readonly id?: string };
}[FrameName];

export interface FrameReading {
  readonly url: string;
  /** Silence for longer counts as a lost connection; the server's heartbeats count as sound. */
  readonly silenceMs: number;
  readonly onWaiting?: (waiting: WaitingComment) => void;
  /** Whenever anything arrives, a heartbeat too. */
  readonly onSound?: () => void;
  readonly signal?: AbortSignal;
}

/** Events of the results of embeddings are the largest. */
const bufferCharsMax = 64 * 1024 * 1024;

/** Ends with the body. Whoever leaves early thereby closes the connection. */
export async function* readFrames(
  body: ReadableStream<Uint8Array>,
  reading: FrameReading,
): AsyncGenerator<Frame, void, undefined> {
  const arrived: Frame[] = [];
  const parser = createParser({
    maxBufferSize: bufferCharsMax,
    onEvent({ event, data, id }) {
      const frame = frameOf(reading.url, event, data, id);
      if (frame !== undefined) arrived.push(frame);
    },
    onComment: (comment) => readComment(comment, reading),
    onError(error) {
      if (error.type !== "max-buffer-size-exceeded") return;
      throw new UnexpectedReplyError(reading.url, 200, "a stream with an endless line", error);
    },
  });
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await readWithin(reader, reading);
      if (done) return;
      reading.onSound?.();
      parser.feed(decoder.decode(value, { stream: true }));
      yield* arrived.splice(0);
    }
  } finally {
    // Nobody waits for it: a body that failed has nothing to release, and one that is left has no news.
    reader.cancel().catch(() => undefined);
  }
}

async function readWithin(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  { url, silenceMs, signal }: FrameReading,
): Promise<{ done: boolean; value?: Uint8Array | undefined }> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    const fall = () => reject(new ConnectionLost(url, `it was silent for ${silenceMs} ms`));
    timer = setTimeout(fall, silenceMs);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (error instanceof ConnectionLost) throw error;
    throw new ConnectionLost(url, (error as Error).message, error);
  } finally {
    clearTimeout(timer);
  }
}

/** Events of later versions are left out; what an old client does not know it cannot miss. */
function frameOf(url: string, event: string | undefined, text: string, id: string | undefined) {
  if (event === undefined || !Object.hasOwn(frames, event)) return undefined;
  const data = jsonOf(text);
  if (typeof data !== "object" || data === null || (event === "token" && !isToken(data))) {
    throw new UnexpectedReplyError(url, 200, `a ${event} frame that cannot be read`);
  }
  return { event, data, ...(id !== undefined && { id }) } as Frame;
}

function isToken(data: object): boolean {
  const { t, i } = data as Partial<TokenFrame>;
  return typeof t === "string" && Number.isSafeInteger(i);
}

const waitingMark = "waiting ";

function readComment(comment: string, { onWaiting }: FrameReading): void {
  const text = comment.trimStart();
  if (onWaiting === undefined || !text.startsWith(waitingMark)) return;
  const waiting = jsonOf(text.slice(waitingMark.length));
  if (typeof waiting === "object" && waiting !== null) onWaiting(waiting as WaitingComment);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The caller says what could not be read, or leaves a comment out.
    return undefined;
  }
}
