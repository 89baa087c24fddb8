// Counting by name.

export type Tally = Record<string, number>;

export function count(tally: Tally, name: string, by = 1): void {
  tally[name] = (tally[name] ?? 0) + by;
}

export function addTo(total: Tally, more: Readonly<Tally>): void {
  for (const [name, by] of Object.entries(more)) count(total, name, by);
}

export function sum(tally: Readonly<Tally>): number {
  return Object.values(tally).reduce((total, by) => total + by, 0);
}
