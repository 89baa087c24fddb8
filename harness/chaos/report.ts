// What chaos prints and writes: a line for each round, what is wrong with the command that repeats it, and
// the counts over all rounds.

import { availableParallelism, loadavg } from "node:os";
import type { Figure } from "@llama-orch/contract";
import { addTo, sum, type Tally } from "../sim/tally.ts";
import type { RoundVerdict } from "./round.ts";

export function roundText(verdict: RoundVerdict): string {
  const { seed, kind, streams, refused, reconnects, failovers, attemptsLost, faults, seconds } = verdict;
  const parts = [
    `${streams} streams`,
    `${refused} refused`,
    tallyText(faults),
    `${attemptsLost} attempts lost`,
    `${failovers} failed over`,
    `${reconnects} reconnected`,
    tallyText(verdict.outcomes),
    `${verdict.grownBytes >> 20} MiB more`,
    `load ${loadavg()[0]?.toFixed(1)}`,
    `${seconds.toFixed(1)} s`,
  ];
  const state = verdict.violations.length === 0 ? "ok" : "FAILED";
  return `seed ${seed} ${kind.padEnd(8)} ${state}: ${parts.join(", ")}`;
}

const shownMax = 12;

export function failureText({ seed, violations, folder }: RoundVerdict): string {
  const shown = violations.slice(0, shownMax).map(({ verdict, message }) => `  ${verdict}: ${message}`);
  const more = violations.length > shownMax ? [`  and ${violations.length - shownMax} more`] : [];
  const repeat = `Repeat it: npm run chaos -- --rounds 1 --seed ${seed}`;
  return [...shown, ...more, `  What it wrote lies in ${folder}.`, repeat].join("\n");
}

export function countsOf(verdicts: readonly RoundVerdict[]): Record<string, number> {
  const of = (name: string) =>
    verdicts.flatMap(({ violations }) => violations).filter(({ verdict }) => verdict === name).length;
  const total = (each: (verdict: RoundVerdict) => number) =>
    verdicts.reduce((whole, verdict) => whole + each(verdict), 0);
  return {
    rounds: verdicts.length,
    kills: total(({ faults }) => faults.kill ?? 0),
    streams: total(({ streams }) => streams),
    resumed: total(({ reconnects, failovers }) => reconnects + failovers),
    lost: of("lost"),
    duplicated: of("duplicated"),
    mismatched: of("mismatched"),
    leaked: of("leaked"),
    wrong: of("wrong"),
    miscounted: of("miscounted"),
  };
}

export function figuresOf(verdicts: readonly RoundVerdict[]): Figure[] {
  const total = (each: (verdict: RoundVerdict) => number) =>
    verdicts.reduce((whole, verdict) => whole + each(verdict), 0);
  return [
    { name: "reconnected", value: total(({ reconnects }) => reconnects), unit: "connections" },
    { name: "failed over", value: total(({ failovers }) => failovers), unit: "streams" },
    { name: "attempts lost", value: total(({ attemptsLost }) => attemptsLost), unit: "attempts" },
    { name: "flips found", value: total(({ replaysRefused }) => replaysRefused), unit: "streams" },
    { name: "load", value: loadavg()[0] ?? 0, unit: `of ${availableParallelism()} cores` },
  ];
}

export function summaryText(verdicts: readonly RoundVerdict[]): string {
  const faults: Tally = {};
  const outcomes: Tally = {};
  for (const verdict of verdicts) {
    addTo(faults, verdict.faults);
    addTo(outcomes, verdict.outcomes);
  }
  const counts = Object.entries(countsOf(verdicts)).map(([name, value]) => `${value} ${name}`);
  return [
    `faults     ${tallyText(faults)} (${sum(faults)})`,
    `outcomes   ${tallyText(outcomes)}`,
    counts.join(", "),
  ].join("\n");
}

function tallyText(tally: Readonly<Tally>): string {
  const rows = Object.entries(tally).sort(([, a], [, b]) => b - a);
  return rows.map(([name, by]) => `${by} ${name}`).join(", ");
}
