// Figures as a table for a person: value, baseline, ratio, goal, and whether it is met.

import type { Figure } from "@llama-orch/contract";

export function printFigures(suite: string, figures: readonly Figure[], conditions: string): void {
  const rows = figures.map(cells);
  const head = ["figure", "value", "baseline", "ratio", "goal", ""];
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? "").length)));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  ");
  console.log(`bench ${suite}: ${conditions}`);
  for (const row of [head, ...rows]) console.log(line(row).trimEnd());
}

function cells({ name, value, unit, baseline, ratio, goal, met }: Figure): string[] {
  const mark = met === undefined ? "" : met ? "met" : "MISSED";
  return [
    name,
    `${thousands(value)} ${unit}`,
    thousands(baseline),
    String(ratio ?? ""),
    thousands(goal),
    mark,
  ];
}

function thousands(value: number | undefined): string {
  if (value === undefined) return "";
  // Below a hundred the digits behind the point count.
  if (Math.abs(value) < 100) return String(Number(value.toPrecision(3)));
  return Math.round(value).toLocaleString("en").replaceAll(",", " ");
}
