// One round: a fresh installation, its undisturbed texts, the storm, the healing, and the demands. What it
// started it ends, whatever happens.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { count, type Tally } from "../sim/tally.ts";
import { judgeCounters } from "./counters.ts";
import { startEmbeddedInstallation } from "./embedded-installation.ts";
import { startFakeInstallation } from "./fake-installation.ts";
import type { Installation } from "./installation.ts";
import { type Life, live, type Place, streamUrl } from "./lives.ts";
import { judgeTask, type Violation } from "./outcomes.ts";
import { type Kind, looseFakes, type Plan, type PlannedTask, strictFakes, type Variant } from "./plan.ts";
import { probe } from "./probes.ts";
import { isRunning, residentBytesOf } from "./processes.ts";
import { readOnce } from "./reader.ts";
import { Received } from "./received.ts";
import { leaksOf, type Rest, restOf, scrape, until, viewsOf } from "./stillness.ts";
import { storm } from "./storm.ts";
import { undisturbed } from "./undisturbed.ts";

export interface RoundVerdict {
  readonly seed: number;
  readonly kind: Kind;
  /** Tasks that were taken in. */
  readonly streams: number;
  readonly refused: number;
  readonly reconnects: number;
  readonly failovers: number;
  readonly attemptsLost: number;
  readonly replaysRefused: number;
  readonly grownBytes: number;
  readonly faults: Tally;
  readonly outcomes: Tally;
  readonly violations: readonly Violation[];
  readonly seconds: number;
  /** Where everything it wrote still lies, when something is wrong. */
  readonly folder?: string;
}

const endedWithinMs = 45_000;

/** @param reference an installation that nobody disturbs, for texts of fake engines */
export async function runRound(plan: Plan, reference: Place): Promise<RoundVerdict> {
  const startMs = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "llama-orch-chaos-"));
  const installation = await start(plan.kind, folder);
  const found = await runIn(installation, plan, reference).catch((error: unknown) =>
    broken(installation, plan, error),
  );
  await installation.stop();
  const violations = [...found.violations, ...leftovers(installation)];
  const isGood = violations.length === 0;
  const seconds = (performance.now() - startMs) / 1000;
  if (isGood) rmSync(folder, { recursive: true, force: true });
  return { ...found, violations, seconds, ...(!isGood && { folder }) };
}

/** A round that could not be judged, mostly since the daemon has left. */
function broken({ pid }: Installation, { seed, kind }: Plan, error: unknown): Found {
  const state = isRunning(pid) ? "" : "The daemon has left by itself; its log says why. ";
  const violations: Violation[] = [{ verdict: "wrong", message: `${state}${(error as Error).stack}` }];
  const nothing = { streams: 0, refused: 0, reconnects: 0, failovers: 0, attemptsLost: 0, replaysRefused: 0 };
  return { seed, kind, ...nothing, grownBytes: 0, faults: {}, outcomes: {}, violations };
}

function start(kind: Kind, folder: string): Promise<Installation> {
  if (kind === "embedded") return startEmbeddedInstallation(folder);
  return startFakeInstallation({ folder, strict: strictFakes, loose: looseFakes, paced: true });
}

type Found = Omit<RoundVerdict, "seconds" | "folder">;

async function runIn(installation: Installation, plan: Plan, reference: Place): Promise<Found> {
  const { seed, kind, variants, tasks } = plan;
  const { url, pid } = installation;
  const texts = await undisturbed(kind === "fakes" ? reference : installation, `alone-${seed}`, variants);
  // What is opened with the first use is open before anything is counted.
  if (kind === "fakes") await undisturbed(installation, `warm-${seed}`, variants.slice(0, 4));
  const rest = await restOf(installation);
  const storming = clients(tasks, plan, installation);
  const faults = await storm(installation, plan.faults, storming.instant);
  const lives = await storming.lives();
  const violations = await healed(installation, faults);
  lives.push(...(await clients(plan.after, plan, installation).lives()));
  violations.push(...(await probe(installation, plan, texts)));
  await until(
    async () => [...(await viewsOf(url)).values()].every(({ ended_at_ms: at }) => at !== null),
    10_000,
  );
  const views = await viewsOf(url);
  const streams = await readAgain(url, [...views.keys()]);
  const outcomes: Tally = {};
  for (const life of lives) {
    const view = views.get(life.task.id);
    const again = streams.get(life.task.id) ?? new Received();
    const expected = texts[life.task.variant] as string;
    violations.push(...judgeTask({ life, expected, view, again, flips: kind === "fakes" }));
    if (life.jobId !== undefined) count(outcomes, view?.code ?? view?.state ?? "unknown");
  }
  violations.push(...(await leaksIn(installation, rest)));
  const scraped = await scrape(url);
  const reconnects = lives.reduce((sum, { resumes }) => sum + resumes, 0);
  const seen = { views, streams, reconnects, flips: flipsIn(plan), logFile: installation.logFile };
  violations.push(...judgeCounters(scraped, seen));
  const admitted = lives.filter(({ jobId }) => jobId !== undefined).length;
  return {
    seed,
    kind,
    streams: admitted,
    refused: lives.length - admitted,
    reconnects,
    failovers: scraped.sum("streams_resumed_total", { kind: "failover" }),
    attemptsLost: scraped.sum("attempts_lost_total"),
    replaysRefused: scraped.sum("replay_mismatch_total"),
    grownBytes: residentBytesOf(pid) - rest.residentBytes,
    faults,
    outcomes,
    violations,
  };
}

/** Everybody starts now; the instants of a plan count from here. */
function clients(tasks: readonly PlannedTask[], { variants }: Plan, place: Place) {
  const startMs = performance.now();
  const instant = (atMs: number) => delay(Math.max(0, startMs + atMs - performance.now()));
  const living = tasks.map((task) => live(task, variants[task.variant] as Variant, place, instant));
  return { instant, lives: () => inTime(tasks, living) };
}

/** One more is made by the probe. */
function flipsIn({ kind, faults }: Plan): number {
  if (kind === "embedded") return 0;
  return 1 + faults.filter((fault) => fault.kind === "sick" && fault.faults.flip_at !== undefined).length;
}

/** Whoever still waits for its stream when all should be over waits for ever. */
async function inTime(tasks: readonly PlannedTask[], living: readonly Promise<Life>[]): Promise<Life[]> {
  const over = new AbortController();
  const late = delay(endedWithinMs, undefined, { signal: over.signal }).catch(() => undefined);
  const lives = await Promise.all(
    living.map(async (one, n): Promise<Life> => {
      const life = await Promise.race([one, late]);
      const task = tasks[n] as PlannedTask;
      return life ?? { task, received: new Received(), resumes: 0, failure: "Its client still waits." };
    }),
  );
  over.abort();
  return lives;
}

/** Every engine is asked until it serves again; a drained one stays as it is. */
async function healed({ url, engines }: Installation, faults: Tally): Promise<Violation[]> {
  const drained = engines[0]?.faults === undefined ? 0 : (faults.drain ?? 0);
  const wanted = new Set(engines.map(({ poolId }) => poolId)).size - drained;
  let said = "";
  const serves = await until(async () => {
    const scraped = await scrape(url);
    said = `${scraped.sum("pool_ready")} of ${wanted} pools serve`;
    return scraped.sum("pool_ready") >= wanted;
  }, 20_000);
  return serves ? [] : [{ verdict: "leaked", message: `After the healing ${said}.` }];
}

async function readAgain(url: string, ids: readonly string[]): Promise<Map<string, Received>> {
  const streams = new Map<string, Received>();
  for (const id of ids) {
    const received = new Received();
    await readOnce(streamUrl(url, id), received, { withinMs: 10_000 });
    streams.set(id, received);
  }
  return streams;
}

async function leaksIn(installation: Installation, rest: Rest): Promise<Violation[]> {
  const leaks = await leaksOf(installation, rest);
  return leaks.map((message) => ({ verdict: "leaked", message }));
}

function leftovers({ pid, pids }: Installation): Violation[] {
  const left = [pid, ...pids()].filter(isRunning);
  return left.map((each) => ({ verdict: "leaked", message: `Process ${each} is still there.` }));
}
