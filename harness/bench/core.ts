// How many tasks the core takes through their life in a second, with a short and with a very long queue, and
// how much memory a waiting task takes. Each case runs in a process of its own, so that neither heap nor
// compiled code of one helps or hurts the next.

import { execFileSync } from "node:child_process";
import { atLeast, atMost, type BenchResult, round } from "./figure.ts";

interface Case {
  readonly waiting: number;
  readonly lifecycles: number;
  readonly goal: number;
}

/** What one process measured. */
export interface CaseResult {
  readonly perS: number;
  readonly bytesPerTask: number;
  readonly baselinePerS: number;
}

const cases: readonly Case[] = [
  { waiting: 10_000, lifecycles: 400_000, goal: 150_000 },
  { waiting: 1_000_000, lifecycles: 400_000, goal: 100_000 },
];

/** The best of some rounds: what else the machine does only ever makes a round slower. */
const rounds = 3;

export function coreBench(): BenchResult {
  const figures = cases.flatMap(({ waiting, lifecycles, goal }) => {
    const results = Array.from({ length: rounds }, (_, round) => {
      console.error(`${waiting} waiting, round ${round + 1} of ${rounds}`);
      return measureCase(waiting, lifecycles);
    });
    const best = results.reduce((a, b) => (b.perS > a.perS ? b : a));
    const name = `${waiting.toLocaleString("en").replaceAll(",", " ")} waiting`;
    const perS = { name: `lifecycles, ${name}`, value: Math.round(best.perS), unit: "/s" };
    const bytes = { name: `memory, ${name}`, value: round(best.bytesPerTask), unit: "B/task" };
    return [atLeast(goal, { ...perS, baseline: Math.round(best.baselinePerS) }), atMost(2000, bytes)];
  });
  const conditions =
    `submit, placement, first token and end of one task are one lifecycle, the making of its submission is not ` +
    `part of it; 8 slots, 4 tenants, 2 classes, 1000 sessions, one process, best of ${rounds}; the baseline only ` +
    `queues, maps and counts the same tasks`;
  return { figures, conditions };
}

function measureCase(waiting: number, lifecycles: number): CaseResult {
  const file = `${import.meta.dirname}/core-case.ts`;
  const flags = ["--expose-gc", "--max-old-space-size=8192"];
  const output = execFileSync(process.execPath, [...flags, file, String(waiting), String(lifecycles)], {
    encoding: "utf8",
  });
  return JSON.parse(output) as CaseResult;
}
