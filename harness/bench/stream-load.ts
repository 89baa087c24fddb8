// Readers that cost nearly nothing: of a stream they look for the first token and count frames.

import { Agent, request } from "node:http";
import { performance } from "node:perf_hooks";

export interface ReadStream {
  readonly frames: number;
  /** From the request to the first token frame. */
  readonly firstTokenMs: number;
}

const ourFrame = Buffer.from("event: token\n");
const engineFrame = Buffer.from('"stop":false');
/** Programs that ask again and again keep their connections. */
const agent = new Agent({ keepAlive: true });

/** @param body asks with POST, as engines are asked */
export function readStream(url: string, body?: string): Promise<ReadStream> {
  const startMs = performance.now();
  const method = body === undefined ? "GET" : "POST";
  const headers =
    body === undefined ? {} : { "Content-Type": "application/json", "Content-Length": body.length };
  return new Promise((resolve, reject) => {
    const asked = request(url, { agent, method, headers }, (response) => {
      const { statusCode = 0 } = response;
      if (statusCode >= 300) return reject(new Error(`${url} answered ${statusCode}.`));
      let frames = 0;
      let firstTokenMs = Number.NaN;
      response.on("data", (chunk: Buffer) => {
        const found = countIn(chunk, ourFrame) || countIn(chunk, engineFrame);
        if (frames === 0 && found > 0) firstTokenMs = performance.now() - startMs;
        frames += found;
      });
      response.on("end", () => resolve({ frames, firstTokenMs }));
      response.on("error", reject);
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

/** A frame cut between two chunks is missed; who counts allows for one per chunk. */
function countIn(chunk: Buffer, mark: Buffer): number {
  let count = 0;
  for (let at = chunk.indexOf(mark); at >= 0; at = chunk.indexOf(mark, at + mark.length)) count++;
  return count;
}
