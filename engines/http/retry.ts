// When a plain call is tried again and after how long. Only idempotent calls ask; the jitter comes from a
// seed, so that a schedule can be repeated.

export const retryPolicy = { baseMs: 100, multiplier: 2, capMs: 2_000, attempts: 4 } as const;

/** A server that asks for a longer pause than this is left alone: the caller decides again. */
const retryAfterMaxMs = 10_000;

/** What a server does not offer (501) it does not offer a moment later either. */
export function isRetriedStatus(status: number): boolean {
  return status === 429 || (status >= 500 && status !== 501);
}

/** Full jitter: anything from nothing to the step, which grows to the cap. */
export function retryDelayMs(retry: number, random: () => number): number {
  return random() * Math.min(retryPolicy.capMs, retryPolicy.baseMs * retryPolicy.multiplier ** retry);
}

/** The pause before the next try; undefined when there must be none. `retry` counts from 0. */
export function pauseMs(
  retry: number,
  random: () => number,
  retryAfter: string | undefined,
): number | undefined {
  if (retry + 1 >= retryPolicy.attempts) return undefined;
  const delayMs = retryDelayMs(retry, random);
  const askedMs = /^\d+$/.test(retryAfter ?? "") ? Number(retryAfter) * 1000 : 0;
  return askedMs > retryAfterMaxMs ? undefined : Math.max(delayMs, askedMs);
}

/** mulberry32: 32 bits of state, good enough to spread retries. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
