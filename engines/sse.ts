// Server-sent events out of an engine, as the five engines send them: from pieces of bytes that are cut
// anywhere to the data of whole events. What one piece completes comes out together, so that a reader can
// handle a network read at once. It knows no engine's frames.

import { StringDecoder } from "node:string_decoder";
import { createParser } from "eventsource-parser";

/** One event of llama-server is below 10 kB; the last one repeats the prompt. */
const eventCharsMax = 16 << 20;

/**
 * The data of the events, in the pieces they came in. A piece that only held comments, or the middle of an
 * event, comes as an empty list: the connection lives, and nothing was said. `data: null` says nothing
 * either; `data: [DONE]` ends it, wherever an engine sends it.
 * @throws SseOverflow when an event grows over the limit
 */
export async function* readEvents(
  pieces: AsyncIterable<Uint8Array>,
  charsMax = eventCharsMax,
): AsyncGenerator<readonly string[]> {
  const decoder = new StringDecoder("utf8");
  let events: string[] = [];
  let done = false;
  let overflowed = false;
  const parser = createParser({
    maxBufferSize: charsMax,
    onEvent: ({ data }) => {
      if (done || data === "null") return;
      if (data === "[DONE]") done = true;
      else events.push(data);
    },
    onError: (error) => {
      if (error.type === "max-buffer-size-exceeded") overflowed = true;
    },
  });
  for await (const piece of pieces) {
    parser.feed(decoder.write(piece as Buffer));
    const batch = events;
    events = [];
    if (overflowed) throw new SseOverflow(charsMax);
    yield batch;
    if (done) return;
  }
}

export class SseOverflow extends Error {
  constructor(charsMax: number) {
    super(`An event of the stream is longer than ${charsMax} characters.`);
    this.name = "SseOverflow";
  }
}
