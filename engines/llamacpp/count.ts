// Which numbers of an engine are believed: its answers are another program's, and what they say is added up,
// stored and billed.

/** llama-server counts in 32 bits. */
const countMax = 2 ** 31 - 1;

/** Tokens, their ids, slots. */
export function isCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= countMax;
}

/** Milliseconds, whole or not; no engine runs for a third of a century. */
export function isDuration(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= 1e12;
}
