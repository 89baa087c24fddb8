// What a stream that begins anew owes to readers of an earlier process: that it comes to the frames they may
// have. Only their number and digest are known, so it is proven at the last of them, and not before. The
// digest that a returning reader brings is no proof: it may stem from an earlier task of the same name, or be
// made up, and would end the task for all others. So that reader alone is refused, and the task goes on.

import type { EngineFrame } from "@llama-orch/engines/adapter";
import type { TokenWriter } from "./token-writer.ts";

/** What readers of an earlier process may have. */
export interface Promised {
  readonly frames: number;
  /** Over exactly those. */
  readonly digest: string;
  /** What they stand for; one token each where nothing is said. */
  readonly tokensOut?: number;
}

/** What comes of it if these frames are written next. */
export function outcomeWith(
  promised: Promised,
  writer: TokenWriter,
  frames: readonly EngineFrame[],
): "open" | "kept" | "broken" {
  const due = promised.frames - writer.frames;
  if (frames.length < due) return "open";
  return writer.digestWith(frames.slice(0, due)) === promised.digest ? "kept" : "broken";
}
