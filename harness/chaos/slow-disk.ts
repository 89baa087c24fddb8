// While the disk takes its time for every commit, whoever waits for a commit waits, and whoever reads a
// stream does not: the tokens of a running task keep coming. To be asked when nothing else runs.

import { setTimeout as delay } from "node:timers/promises";
import { handIn } from "./hand-in.ts";
import type { Installation } from "./installation.ts";
import { requestOf, streamUrl } from "./lives.ts";
import type { Violation } from "./outcomes.ts";
import type { Plan, Variant } from "./plan.ts";
import { open } from "./wire.ts";

const commitMs = 500;
const slowForMs = 1200;
/** Far less than one commit, and far more than two cores shared with everybody need for a token. */
const gapMaxMs = 300;

export interface Slowness {
  readonly violations: readonly Violation[];
  /** The longest silence of the stream while commits were slow. */
  readonly gapMs: number;
  /** What an admission took then. */
  readonly admissionMs: number;
}

/** @param variant so long that it runs all the while */
export async function slowDisk(installation: Installation, plan: Plan, variant: Variant): Promise<Slowness> {
  const { url, model, daemon } = installation;
  const { signal } = new AbortController();
  const take = (id: string, what: Variant) =>
    handIn({ postedAtMs: [], task: {} }, requestOf(id, what, model), { url, signal });
  const witness = `witness-${plan.seed}`;
  await take(witness, variant);
  const response = await open("GET", streamUrl(url, witness), { accept: "text/event-stream" });
  const arrivals: number[] = [];
  response.on("data", () => arrivals.push(performance.now()));
  while (arrivals.length < 3) await delay(10);
  daemon.slowCommits(commitMs);
  const fromMs = performance.now();
  await take(`patient-${plan.seed}`, plan.variants[plan.short] as Variant);
  const admissionMs = performance.now() - fromMs;
  await delay(Math.max(0, fromMs + slowForMs - performance.now()));
  const toMs = performance.now();
  daemon.slowCommits(0);
  response.destroy();
  const gapMs = longestGap([fromMs, ...arrivals.filter((atMs) => atMs > fromMs && atMs < toMs), toMs]);
  const violations: Violation[] = [];
  if (gapMs > gapMaxMs) {
    const message = `A running stream was silent for ${Math.round(gapMs)} ms while commits took ${commitMs} ms.`;
    violations.push({ verdict: "wrong", message });
  }
  if (admissionMs < commitMs) {
    const message = `An admission was answered after ${Math.round(admissionMs)} ms, before it could be safe.`;
    violations.push({ verdict: "wrong", message });
  }
  return { violations, gapMs, admissionMs };
}

function longestGap(instants: readonly number[]): number {
  return Math.max(...instants.slice(1).map((atMs, n) => atMs - (instants[n] as number)));
}
