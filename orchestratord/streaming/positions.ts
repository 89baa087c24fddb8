// Where a reader stands that comes back, and whether what it has is of this stream at all.

import { OrchError, type StreamPosition } from "@llama-orch/contract";
import { digestAfter } from "./delivered.ts";
import type { Ring } from "./ring.ts";

/** A place, and what a reader there still lacks of a batch that it has a part of. */
export interface Place {
  readonly at: number;
  readonly rest: string;
}

/** How far a stream has come; the stream alone changes it. */
export interface Course {
  /** The end of its first frame; 0 before it. */
  startedEnd: number;
  /** Where the terminal frame begins. */
  terminalAt: number | undefined;
  isGateClosed: boolean;
  isCanceled: boolean;
  /** It ended with all of its text. */
  isWhole: boolean;
}

export const notBegun = (): Course => ({
  startedEnd: 0,
  terminalAt: undefined,
  isGateClosed: false,
  isCanceled: false,
  isWhole: false,
});

/**
 * Undefined while the position does not exist.
 *
 * @throws OrchError INVALID_PARAMS when its digest is not that of this stream
 */
export function locate(
  ring: Ring,
  { index, digest }: StreamPosition,
  course: Readonly<Course>,
): Place | undefined {
  const { startedEnd, terminalAt } = course;
  if (startedEnd > 0 && index < 0) return { at: startedEnd, rest: "" };
  if (index >= ring.frames || index < 0) {
    if (terminalAt === undefined) return undefined;
    // One that was canceled or failed may not have come again to where an earlier process was; a whole one
    // has every frame there is.
    if (course.isWhole && digest !== undefined) throw otherText(index);
    return { at: terminalAt, rest: "" };
  }
  const found = ring.find(index);
  // Another process may have cut the same text into other batches, so a position inside of one proves itself
  // by what comes before it.
  const proof = () => (found.rest === "" ? found.digest : digestAfter(ring, index));
  if (digest !== undefined && digest !== proof()) throw otherText(index);
  if (found.rest === "") return found;
  if (terminalAt !== undefined) return course.isCanceled ? { at: found.at, rest: "" } : found;
  // Behind a closed gate the rest of a batch waits for the end like everything else.
  return course.isGateClosed ? undefined : found;
}

function otherText(index: number): OrchError {
  const message = `frame ${index} of this stream has another digest. Follow it from its start again.`;
  return new OrchError("INVALID_PARAMS", `Last-Event-ID: ${message}`);
}
