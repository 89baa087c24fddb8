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

function withRatio(measured: Measured): Figure {
  if (measured.baseline === undefined) return measured;
  return { ...measured, ratio: round(measured.value / measured.baseline) };
}

export function round(value: number): number {
  return Number(value.toPrecision(3));
}
