// The seeds that have failed once. They are replayed on every run, for ever, so that what they found stays
// found. One line each: `seed=<n>`, and behind `#` what it showed.

import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Verdict } from "./simulate.ts";

const path = join(import.meta.dirname, "seeds.txt");

export function keptSeeds(text: string = readFileSync(path, "utf8")): number[] {
  const lines = text.split("\n").map((line) => line.replace(/#.*/, "").trim());
  return lines.filter((line) => line !== "").map(seedOf);
}

function seedOf(line: string): number {
  const [, digits] = /^seed=(\d+)$/.exec(line) ?? [];
  if (digits === undefined) throw new Error(`"${line}" is no line of seeds.txt; write seed=<n> # why.`);
  return Number(digits);
}

/** Keeps a seed that failed, once. */
export function keepSeed({ seed, violation }: Verdict): void {
  if (violation === undefined || keptSeeds().includes(seed)) return;
  const [why = ""] = violation.message.split("\n");
  appendFileSync(path, `seed=${seed} # ${why.slice(0, 90)}\n`);
}
