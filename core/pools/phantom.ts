// A replica of which only facts survived a restart. It takes no work, any report of a real process replaces
// it, and that it goes is nobody's fault.

import type { Replica } from "../state.ts";

/** Older than any process. */
export const phantomEpoch = -1;

export function isPhantom({ epoch }: Replica): boolean {
  return epoch === phantomEpoch;
}
