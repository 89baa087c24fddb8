// What readers have of a stream: as an engine needs it that is to go on with it, and as a reader proves it.

import { StreamDigest } from "@llama-orch/contract";
import { piecesOf, readFrames } from "./frame-text.ts";
import type { Ring } from "./ring.ts";

/** The last characters, so many at least where there are as many. */
export function tailOf(ring: Ring, chars: number): string {
  let tail = "";
  for (const { text, count } of ring.newestFirst()) {
    if (tail.length >= chars) break;
    if (count === 0) continue;
    const tokens = [...readFrames(text)].flatMap(({ data }) => piecesOf(data));
    tail = tokens.map(({ t }) => t).join("") + tail;
  }
  return tail;
}

/** Of every token, where the engine has told all of them. */
export function idsOf(ring: Ring): readonly number[] {
  const all: number[] = [];
  for (const { ids } of ring.entries()) for (const id of ids ?? []) all.push(id);
  return all;
}

/** As the id of a frame that ended with this token would show it; reads the stream up to there. */
export function digestAfter(ring: Ring, index: number): string {
  const digest = new StreamDigest();
  for (const { text, count } of ring.entries()) {
    if (count === 0) continue;
    for (const { data } of readFrames(text)) {
      for (const { t, i } of piecesOf(data)) {
        digest.add(i, t);
        if (i === index) return digest.short();
      }
    }
  }
  throw new Error(`Token ${index} is missing from a stream of ${ring.frames} tokens.`);
}
