// What a bench gives back, and how a figure meets its goal.

import type { Figure } from "@llama-orch/contract";

export interface BenchResult {
  readonly figures: Figure[];
  /** Load, concurrency and what shares the cores: a figure without them says nothing. */
  readonly conditions: string;
}

export type Bench = () => BenchResult | Promise<BenchResult>;

export interface Measured {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly baseline?: number;
}

export function atLeast(goal: number, measured: Measured): Figure {
  return { ...withRatio(measured), goal, met: measured.value >= goal };
}

export function atMost(goal: number, measured: Measured): Figure {
  return { ...withRatio(measured), goal, met: measured.value <= goal };
}

/** The round in the middle: a machine that is shared makes single rounds better and worse than they are. */
export function middle<T>(rounds: readonly T[], of: (round: T) => number): T {
  return rounds.toSorted((a, b) => of(a) - of(b))[rounds.length >> 1] as T;
}

/** Where the goal is a share of the baseline. */
export function shareAtLeast(goal: number, measured: Measured & { readonly baseline: number }): Figure {
  const { value, baseline } = measured;
  const ratio = round(value / baseline);
  return {
    ...measured,
    value: Math.round(value),
    baseline: Math.round(baseline),
    ratio,
    goal,
    met: ratio >= goal,
  };
}

function withRatio(measured: Measured): Figure {
  if (measured.baseline === undefined) return measured;
  return { ...measured, ratio: round(measured.value / measured.baseline) };
}

export function round(value: number): number {
  return Number(value.toPrecision(3));
}
