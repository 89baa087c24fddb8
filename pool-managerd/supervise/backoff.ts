// How long to wait before a failed engine is started again: twice as long each time, up to a cap, spread a
// little so that engines that fell together do not come back together.

export interface BackoffNumbers {
  readonly initialMs: number;
  readonly maxMs: number;
}

const jitter = 0.1;

/** `failures` counts from 1; `random` gives 0 ≤ x < 1. Never above the cap. */
export function backoffMs(numbers: BackoffNumbers, failures: number, random: () => number): number {
  const plain = Math.min(numbers.maxMs, numbers.initialMs * 2 ** (failures - 1));
  return Math.min(numbers.maxMs, Math.round(plain * (1 - jitter + 2 * jitter * random())));
}

/** A small seeded generator (mulberry32): spreading delays needs no better one. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
