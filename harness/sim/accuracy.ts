// How true the promises about time and shares are, measured in worlds without faults: predicted starts
// against real ones, weighted shares under saturation, and deadlines of admitted tasks.

import type { Figure } from "@llama-orch/contract";
import { baseLoad, baseMix, basePool, baseReplica, type Load, type Mix } from "./mix.ts";
import { World } from "./world.ts";

/** What is printed with the figures, so that nobody has to guess what they mean. */
export const definition =
  "error of a predicted start = |predicted - real wait| / max(real wait, mean service time of the run), over " +
  "tasks that started; wait = admission to first placement; the first 40 tasks of a run only teach the speeds";

const warmUp = 40;
const seeds = [1, 2, 3, 4, 5, 6];

const loads: Readonly<Record<string, Partial<Load>>> = {
  steady: { perS: 5.2 },
  bursts: { perS: 4.4, burst: 25 },
  mixed: { perS: 5.4, batchShare: 0.5, tenants: ["default", "blue"], burst: 5 },
};

/** Two machines of two slots each that serve one model, about 5.8 tasks a second together. */
function mixOf(seed: number, load: Partial<Load>, settings: Partial<Mix["settings"]> = {}): Mix {
  const base = baseMix(seed);
  const replicas = ["r0", "r1"].map((replicaId) => {
    return baseReplica({
      replicaId,
      slots: 2,
      speed: { prefillMsPerToken: 1, firstTokenMs: 40, tokensPerS: 50, noise: 0.15 },
    });
  });
  return {
    ...base,
    replicas,
    settings: { ...base.settings, pools: [basePool({ capacity: 400 })], ...settings },
    load: { ...baseLoad, tasks: 500, sessions: 400, maxTokens: [10, 50], ...load },
    spread: 0.3,
  };
}

export function errorsUnder(load: Partial<Load>, seed: number): number[] {
  const world = new World(mixOf(seed, load));
  world.run();
  const started = [...world.judge.cases.values()].filter(
    ({ firstPlacedAtMs }) => firstPlacedAtMs !== undefined,
  );
  const serviceMs = started.reduce((total, one) => total + one.serviceMs, 0) / started.length;
  return started.slice(warmUp).map(({ accepted, firstPlacedAtMs, submittedAtMs }) => {
    const waitMs = (firstPlacedAtMs as number) - submittedAtMs;
    return Math.abs(accepted.answer.predictedStartMs - waitMs) / Math.max(waitMs, serviceMs);
  });
}

/** Jain's index of what flows were charged, each by its weight, while all of them had work waiting. */
export function jainUnderSaturation(seed: number): number {
  const tenants = { one: { weight: 1 }, two: { weight: 2 }, four: { weight: 4 } };
  const pools = [basePool({ capacity: 2000, tenants })];
  const load = { perS: 60, tenants: Object.keys(tenants), tasks: 900, batchShare: 0 };
  const world = new World(mixOf(seed, load, { pools }));
  world.run();
  const charged = new Map<string, number>();
  const left = new Map<string, number>();
  const cases = [...world.judge.cases.values()].filter(
    ({ firstPlacedAtMs }) => firstPlacedAtMs !== undefined,
  );
  for (const { accepted } of cases) left.set(accepted.tenantId, (left.get(accepted.tenantId) ?? 0) + 1);
  const allHereMs = Math.max(...cases.map(({ submittedAtMs }) => submittedAtMs));
  cases.sort((a, b) => (a.firstPlacedAtMs as number) - (b.firstPlacedAtMs as number));
  for (const { accepted, event, firstPlacedAtMs } of cases) {
    const { tenantId } = accepted;
    left.set(tenantId, (left.get(tenantId) as number) - 1);
    if (left.get(tenantId) === 0) break;
    if ((firstPlacedAtMs as number) < allHereMs) continue;
    const cost = (event.promptTokens ?? event.promptBytes + 2) + event.task.maxTokens;
    charged.set(tenantId, (charged.get(tenantId) ?? 0) + cost);
  }
  const shares = Object.entries(tenants).map(([id, { weight }]) => (charged.get(id) ?? 0) / weight);
  const total = shares.reduce((sum, share) => sum + share, 0);
  return total ** 2 / (shares.length * shares.reduce((sum, share) => sum + share ** 2, 0));
}

/** Of the tasks that were admitted with a deadline that was tight: the share that ended in time. */
export function deadlinesMet(seed: number): { readonly met: number; readonly admitted: number } {
  const world = new World(mixOf(seed, { perS: 7.5, deadlineMs: [1500, 12_000], batchShare: 0.3 }));
  world.run();
  const cases = [...world.judge.cases.values()].slice(warmUp);
  return { met: cases.filter(({ outcome }) => outcome?.onTime === true).length, admitted: cases.length };
}

/** Of those that a full queue refused and that came again as told: how often a place was free by then. */
export function retriesKept(seed: number): { readonly kept: number; readonly told: number } {
  const world = new World(mixOf(seed, { perS: 5 }, { pools: [basePool({ capacity: 4 })] }));
  world.run();
  const starts = [...world.judge.cases.values()].map(({ firstPlacedAtMs = Infinity }) => firstPlacedAtMs);
  const { returns } = world.clients;
  const kept = returns.filter(({ refusedAtMs, cameAtMs }) =>
    starts.some((atMs) => atMs > refusedAtMs && atMs <= cameAtMs),
  );
  return { kept: kept.length, told: returns.length };
}

export function figuresOf(): Figure[] {
  const figures: Figure[] = [];
  for (const [name, load] of Object.entries(loads)) {
    const errors = seeds.flatMap((seed) => errorsUnder(load, seed)).sort((a, b) => a - b);
    figures.push(
      atMost(`predicted start, ${name}, median error`, quantile(errors, 0.5), 0.15),
      atMost(`predicted start, ${name}, P90 error`, quantile(errors, 0.9), 0.4),
    );
  }
  figures.push(atLeast("Jain index of weighted shares", Math.min(...seeds.map(jainUnderSaturation)), 0.99));
  const ended = seeds.map(deadlinesMet);
  const met = ended.reduce((total, one) => total + one.met, 0);
  const admitted = ended.reduce((total, one) => total + one.admitted, 0);
  figures.push(atLeast("admitted tasks that met their deadline", met / admitted, 0.99));
  const returns = seeds.map(retriesKept);
  const kept = returns.reduce((total, one) => total + one.kept, 0);
  const told = returns.reduce((total, one) => total + one.told, 0);
  figures.push(atLeast("Retry-After after which a place was free", kept / told, 0.75));
  return figures;
}

export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

function atMost(name: string, value: number, goal: number): Figure {
  return { name, value: round(value), unit: "ratio", goal, met: value <= goal };
}

function atLeast(name: string, value: number, goal: number): Figure {
  return { name, value: round(value), unit: "ratio", goal, met: value >= goal };
}

const round = (value: number): number => Math.round(value * 10_000) / 10_000;

export function reportText(figures: readonly Figure[]): string {
  const lines = figures.map(({ name, value, goal, met }) => {
    return `${met ? "met   " : "MISSED"} ${name.padEnd(44)} ${String(value).padStart(8)}  goal ${goal}`;
  });
  return ["", ...lines, definition, ""].join("\n");
}
