// One connection of a reader who brings no SDK: it is read whole, slowly, or up to a byte at which it is
// cut.

import { StringDecoder } from "node:string_decoder";
import { setTimeout as delay } from "node:timers/promises";
import type { Received } from "./received.ts";
import { open } from "./wire.ts";

export interface Pace {
  /** The connection is cut after so many bytes of the body. */
  readonly cutAfter?: number;
  /** After each piece that arrives. */
  readonly pauseMs?: number;
  /** A connection that lasts longer is one that never ends. */
  readonly withinMs?: number;
  readonly signal?: AbortSignal;
  /** The server lets it read. */
  readonly onCome?: () => void;
}

const withinMs = 60_000;

export interface Connected {
  readonly status: number;
  /** It asked to go on from a position, and was let. */
  readonly resumed: boolean;
  /** It got all the bytes that it wanted to read before it hung up. */
  readonly isCut: boolean;
}

/** Resolves when the connection has ended, whoever ended it. */
export async function readOnce(url: string, received: Received, pace: Pace = {}): Promise<Connected> {
  const { lastEventId } = received;
  const headers = {
    accept: "text/event-stream",
    ...(lastEventId !== undefined && { "last-event-id": lastEventId }),
  };
  const timeout = AbortSignal.timeout(pace.withinMs ?? withinMs);
  const limit = pace.signal === undefined ? timeout : AbortSignal.any([timeout, pace.signal]);
  const response = await open("GET", url, headers, undefined, limit);
  const status = response.statusCode as number;
  pace.onCome?.();
  const decoder = new StringDecoder("utf8");
  let left = pace.cutAfter ?? Number.POSITIVE_INFINITY;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      const piece = part.subarray(0, left);
      if (status === 200) received.take(decoder.write(piece));
      left -= piece.length;
      if (left <= 0) break;
      if (pace.pauseMs !== undefined) await delay(pace.pauseMs);
    }
  } catch (error) {
    // The server hung up; the reader may come back like after any other cut.
    if ((error as NodeJS.ErrnoException).code !== "ECONNRESET") throw error;
  }
  received.cut();
  return { status, resumed: status === 200 && lastEventId !== undefined, isCut: left <= 0 };
}
