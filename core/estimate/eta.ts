// When a waiting task will start: its work ahead is poured over the slots, each from the moment it is
// expected to be free, until all of it has found a place. The level it reaches is the start.

export interface SlotOutlook {
  /** When each slot is expected to be free; the past means now. */
  readonly freeAtMs: readonly number[];
  readonly nowMs: number;
  /** Share of the slots' time that work still to come will take before this task, 0 to 1. */
  readonly claimed: number;
}

/** Without any knowledge of speed a place in the queue counts for this long. */
export const unknownSpeedMsPerPlace = 100;

export function predictStart({ freeAtMs, nowMs, claimed }: SlotOutlook, workMs: number): number {
  if (freeAtMs.length === 0) return nowMs + workMs;
  const free = ascending(freeAtMs, nowMs);
  let pour = workMs / Math.max(0.05, 1 - claimed);
  let level = free[0] as number;
  for (let filled = 1; filled < free.length; filled++) {
    const room = ((free[filled] as number) - level) * filled;
    if (pour <= room) return level + pour / filled;
    pour -= room;
    level = free[filled] as number;
  }
  return level + pour / free.length;
}

/** Slots are few, and mostly in order already. */
function ascending(times: readonly number[], leastMs: number): number[] {
  const sorted: number[] = [];
  for (const time of times) {
    const value = time > leastMs ? time : leastMs;
    let at = sorted.length;
    while (at > 0 && (sorted[at - 1] as number) > value) {
      sorted[at] = sorted[at - 1] as number;
      at--;
    }
    sorted[at] = value;
  }
  return sorted;
}
