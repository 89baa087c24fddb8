// What readers have of a stream, as an engine needs it that is to go on with it.

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
