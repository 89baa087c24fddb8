// When a waiting task will start: each task ahead of it takes the slot that is expected to be free first, and
// after the last of them it is its own turn.

export interface SlotOutlook {
  /** When each slot is expected to be free; the past means now. */
  readonly freeAtMs: readonly number[];
  readonly nowMs: number;
  /** Share of the slots' time that work still to come will take before this task, 0 to 1. */
  readonly claimed: number;
}

/** Without any knowledge of speed a place in the queue counts for this long. */
export const unknownSpeedMsPerPlace = 100;

/** What outlives its expectation is expected to need this share of its length again. */
export const overdueShare = 0.15;

/** The tasks ahead are taken as equally long. */
export function predictStart(
  { freeAtMs, nowMs, claimed }: SlotOutlook,
  workMs: number,
  items: number,
): number {
  if (freeAtMs.length === 0) return nowMs + workMs;
  const free = ascending(freeAtMs, nowMs);
  if (items === 0) return free[0] as number;
  const itemMs = workMs / Math.max(0.05, 1 - claimed) / items;
  let left = items - dealWhole(free, itemMs, items);
  for (; left > 0; left--) {
    const slot = earliest(free);
    free[slot] = (free[slot] as number) + itemMs;
  }
  return free[earliest(free)] as number;
}

/** Gives each slot what it takes in any case, so that only the last few tasks are dealt one by one. */
function dealWhole(free: number[], itemMs: number, items: number): number {
  const sure = items - free.length;
  if (sure <= 0 || itemMs === 0) return 0;
  const level = levelOf(free, sure * itemMs);
  let dealt = 0;
  for (let slot = 0; slot < free.length && dealt < sure; slot++) {
    const room = Math.floor((level - (free[slot] as number)) / itemMs);
    const taken = Math.max(0, Math.min(room, sure - dealt));
    free[slot] = (free[slot] as number) + taken * itemMs;
    dealt += taken;
  }
  return dealt;
}

/** Where work that is poured over the slots stands at the end. */
function levelOf(free: readonly number[], workMs: number): number {
  let pour = workMs;
  let level = free[0] as number;
  for (let filled = 1; filled < free.length; filled++) {
    const room = ((free[filled] as number) - level) * filled;
    if (pour <= room) return level + pour / filled;
    pour -= room;
    level = free[filled] as number;
  }
  return level + pour / free.length;
}

export function earliest(times: readonly number[]): number {
  let at = 0;
  for (let i = 1; i < times.length; i++) if ((times[i] as number) < (times[at] as number)) at = i;
  return at;
}

/** Slots are few, and mostly in order already. */
function ascending(times: readonly number[], leastMs: number): number[] {
  const sorted = times.slice();
  for (let from = 0; from < sorted.length; from++) {
    const value = Math.max(sorted[from] as number, leastMs);
    let at = from;
    while (at > 0 && (sorted[at - 1] as number) > value) {
      sorted[at] = sorted[at - 1] as number;
      at--;
    }
    sorted[at] = value;
  }
  return sorted;
}
