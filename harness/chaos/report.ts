// What chaos prints and writes: a line for each round, what is wrong with the command that repeats it, and
// the counts and figures over all rounds.

import { availableParallelism, loadavg } from "node:os";
import type { Figure } from "@llama-orch/contract";
import { addTo, sum, type Tally } from "../sim/tally.ts";
import type { CrowdVerdict } from "./crowd.ts";
import type { RoundVerdict } from "./round.ts";

export function roundText(verdict: RoundVerdict): string {
  const { seed, kind, streams, refused, resumed, resumedBySdk, census, faults, seconds } = verdict;
  const parts = [
    `${streams} streams`,
    refused === 0 ? "none refused" : `${refused} refused (${tallyText(verdict.refusals)})`,
    tallyText(faults),
    `${resumed} reconnected (${resumedBySdk} by the SDK)`,
    `${census.failovers} failed over`,
    `${census.restarts} over a restart`,
    `${census.attemptsLost} attempts lost`,
    recoveryText(verdict.recoveriesMs),
    ...(verdict.gapMs === undefined ? [] : [`${Math.round(verdict.gapMs)} ms silent on a slow disk`]),
    tallyText(verdict.outcomes),
    grownText(verdict),
    `${verdict.decisions} decisions replayed`,
    `load ${loadavg()[0]?.toFixed(1)}`,
    `${seconds.toFixed(1)} s`,
    ...(verdict.withoutDisk === undefined ? [] : [`full disk LEFT OUT: ${verdict.withoutDisk}`]),
  ];
  const state = verdict.violations.length === 0 ? "ok" : "FAILED";
  return `seed ${seed} ${kind.padEnd(8)} ${state}: ${parts.join(", ")}`;
}

function grownText({ grown: { residentBytes, heldBytes } }: RoundVerdict): string {
  return `${heldBytes >> 20} MiB more in use, ${residentBytes >> 20} MiB in memory`;
}

const shownMax = 12;

export function failureText({ seed, violations, folder }: RoundVerdict): string {
  const shown = violations.slice(0, shownMax).map(({ verdict, message }) => `  ${verdict}: ${message}`);
  const more = violations.length > shownMax ? [`  and ${violations.length - shownMax} more`] : [];
  const repeat = `Repeat it: npm run chaos -- --rounds 1 --seed ${seed}`;
  return [...shown, ...more, `  What it wrote lies in ${folder}.`, repeat].join("\n");
}

export function crowdText({ tasks, restartsMs, violations, seconds, folder }: CrowdVerdict): string {
  const state = violations.length === 0 ? "ok" : "FAILED";
  const took = restartsMs.map((ms) => `${Math.round(ms)} ms`).join(", ");
  const said = violations.slice(0, shownMax).map((message) => `\n  ${message}`);
  const where = folder === undefined ? "" : `\n  What it wrote lies in ${folder}.`;
  const line = `crowd ${state}: killed with ${tasks} unfinished tasks, all back after ${took}`;
  return `${line}, ${seconds.toFixed(1)} s${said.join("")}${where}`;
}

export interface Findings {
  readonly verdicts: readonly RoundVerdict[];
  /** Absent where it was left out. */
  readonly crowd?: CrowdVerdict;
}

const engineKills = ({ faults }: RoundVerdict): number => faults.kill ?? 0;
const daemonKills = ({ faults, finalKills }: RoundVerdict): number =>
  (faults["daemon-kill"] ?? 0) + finalKills;

export function countsOf({ verdicts, crowd }: Findings): Record<string, number> {
  const of = (name: string) =>
    verdicts.flatMap(({ violations }) => violations).filter(({ verdict }) => verdict === name).length;
  const total = totalOf(verdicts);
  const daemon = total(daemonKills) + (crowd?.restartsMs.length ?? 0);
  return {
    rounds: verdicts.length,
    kills: total(engineKills) + daemon,
    engine_kills: total(engineKills),
    daemon_kills: daemon,
    streams: total(({ streams }) => streams),
    decisions_replayed: total(({ decisions }) => decisions),
    resumed: total(({ resumed, census }) => resumed + census.failovers + census.restarts),
    lost: of("lost"),
    duplicated: of("duplicated"),
    mismatched: of("mismatched"),
    leaked: of("leaked"),
    wrong: of("wrong"),
    miscounted: of("miscounted"),
    full_disks: total(({ faults }) => faults["full-disk"] ?? 0),
    full_disks_left_out: verdicts.filter(({ withoutDisk }) => withoutDisk !== undefined).length,
  };
}

const restartGoalMs = 2000;

export function figuresOf({ verdicts, crowd }: Findings): Figure[] {
  const total = totalOf(verdicts);
  const recoveries = verdicts.flatMap(({ recoveriesMs }) => recoveriesMs);
  const gaps = verdicts.flatMap(({ gapMs = [] }) => gapMs);
  const slowestMs = Math.max(...(crowd?.restartsMs ?? []));
  return [
    { name: "resumed_reconnect", value: total(({ resumed }) => resumed), unit: "connections" },
    { name: "resumed_sdk", value: total(({ resumedBySdk }) => resumedBySdk), unit: "connections" },
    { name: "resumed_failover", value: total(({ census }) => census.failovers), unit: "streams, at least" },
    { name: "resumed_restart", value: total(({ census }) => census.restarts), unit: "streams, at least" },
    { name: "attempts_lost", value: total(({ census }) => census.attemptsLost), unit: "attempts, at least" },
    { name: "flips_found", value: total(({ census }) => census.replaysRefused), unit: "streams, at least" },
    ...(recoveries.length === 0
      ? []
      : [
          { name: "recovery_p50_ms", value: percentile(recoveries, 0.5), unit: "ms" },
          { name: "recovery_max_ms", value: percentile(recoveries, 1), unit: "ms" },
        ]),
    ...(gaps.length === 0
      ? []
      : [{ name: "slow_disk_silence_max_ms", value: percentile(gaps, 1), unit: "ms" }]),
    ...(crowd === undefined || crowd.restartsMs.length === 0
      ? []
      : [
          {
            name: "restart_10000_ms",
            value: Math.round(slowestMs),
            unit: "ms",
            goal: restartGoalMs,
            met: slowestMs <= restartGoalMs,
          },
          {
            name: "restart_10000_processor_ms",
            value: percentile(crowd.processorMs, 0.5),
            unit: "ms of all cores",
          },
        ]),
    { name: "load", value: loadavg()[0] ?? 0, unit: `of ${availableParallelism()} cores` },
  ];
}

export function summaryText(findings: Findings): string {
  const { verdicts } = findings;
  const faults: Tally = {};
  const outcomes: Tally = {};
  for (const verdict of verdicts) {
    addTo(faults, verdict.faults);
    addTo(outcomes, verdict.outcomes);
  }
  const counts = Object.entries(countsOf(findings)).map(([name, value]) => `${value} ${name}`);
  const figures = figuresOf(findings).map(figureText);
  const leftOut = verdicts.find(({ withoutDisk }) => withoutDisk !== undefined)?.withoutDisk;
  return [
    `faults     ${tallyText(faults)} (${sum(faults)})`,
    `outcomes   ${tallyText(outcomes)}`,
    ...figures,
    counts.join(", "),
    ...(leftOut === undefined
      ? []
      : [`No disk was filled, since none could be made to be filled: ${leftOut}`]),
  ].join("\n");
}

function figureText({ name, value, unit, goal, met }: Figure): string {
  const aim = goal === undefined ? "" : `, goal ${goal}: ${met ? "met" : "MISSED"}`;
  return `${name.padEnd(26)} ${Number(value.toFixed(1))} ${unit}${aim}`;
}

const totalOf =
  (verdicts: readonly RoundVerdict[]) =>
  (each: (verdict: RoundVerdict) => number): number =>
    verdicts.reduce((whole, verdict) => whole + each(verdict), 0);

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? 0);
}

const recoveryText = (all: readonly number[]): string =>
  all.length === 0
    ? "never restarted"
    : `restarts took ${percentile(all, 0.5)} ms, at most ${percentile(all, 1)} ms`;

function tallyText(tally: Readonly<Tally>): string {
  const rows = Object.entries(tally).sort(([, a], [, b]) => b - a);
  return rows.map(([name, by]) => `${by} ${name}`).join(", ");
}
