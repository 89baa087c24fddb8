// One round: a fresh installation, its undisturbed texts, the storm, the healing, and the demands. What it
// started it ends, whatever happens.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { PoolList, TaskView } from "@llama-orch/contract";
import { count, type Tally } from "../sim/tally.ts";
import { type Census, nobody, takeCensus } from "./census.ts";
import { judgeCounters } from "./counters.ts";
import { startEmbeddedInstallation } from "./embedded-installation.ts";
import { startFakeInstallation } from "./fake-installation.ts";
import type { Installation } from "./installation.ts";
import { retold } from "./journal.ts";
import { type Life, newLife, type Place, type Stage } from "./life.ts";
import { live } from "./lives.ts";
import { LogLines } from "./log-lines.ts";
import { judgeTask, stateOf, type Violation } from "./outcomes.ts";
import type { Plan, PlannedTask, Variant } from "./plan.ts";
import { type Kind, looseFakes, strictFakes } from "./plan-faults.ts";
import { probe } from "./probes.ts";
import { isRunning } from "./processes.ts";
import { readAgain, reborn } from "./reborn.ts";
import { Received } from "./received.ts";
import { slowDisk } from "./slow-disk.ts";
import { type Growth, growthOf, leaksOf, type Rest, restOf, scrape, until, viewsOf } from "./stillness.ts";
import { storm } from "./storm.ts";
import { undisturbed } from "./undisturbed.ts";
import { askJson } from "./wire.ts";

export interface RoundVerdict {
  readonly seed: number;
  readonly kind: Kind;
  /** Tasks that were taken in. */
  readonly streams: number;
  readonly refused: number;
  /** What those were told who gave up. */
  readonly refusals: Tally;
  /** Connections that clients took up again, and how many of them were of the SDK. */
  readonly resumed: number;
  readonly resumedBySdk: number;
  /** What the daemon counted, over all of its lives. */
  readonly census: Census;
  /** From the birth of each life of the daemon to its first answer, the very first one left out. */
  readonly recoveriesMs: readonly number[];
  /** Of the daemon, when all was over. */
  readonly finalKills: number;
  /** The longest silence of a stream while commits were slow. */
  readonly gapMs?: number;
  /** What the daemon holds more than at its start. */
  readonly grown: Omit<Growth, "leaks">;
  /** Of the journal that were decided again. */
  readonly decisions: number;
  readonly faults: Tally;
  readonly outcomes: Tally;
  /** Why nothing could be filled. */
  readonly withoutDisk?: string;
  readonly violations: readonly Violation[];
  readonly seconds: number;
  /** Where everything it wrote still lies, when something is wrong. */
  readonly folder?: string;
}

const endedWithinMs = 60_000;

/** @param reference an installation that nobody disturbs, for texts of fake engines */
export async function runRound(plan: Plan, reference: Place): Promise<RoundVerdict> {
  const startMs = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "llama-orch-chaos-"));
  const installation = await start(plan, folder);
  const over = new AbortController();
  const stage = { url: installation.url, model: installation.model, signal: over.signal };
  const running = runIn(installation, plan, reference, stage);
  const found = await Promise.race([running, installation.daemon.fallen]).catch((error: unknown) =>
    broken(installation, plan, error),
  );
  over.abort();
  await running.catch(() => {
    // What was still going on has ended because its stage is over; what it says nobody needs.
  });
  const { daemon, disk, withoutDisk } = installation;
  const recoveriesMs = daemon.lives.slice(1).flatMap(({ recoveryMs = [] }) => recoveryMs);
  const isGood = found.violations.length === 0;
  if (!isGood) disk?.save(join(folder, "saved-disk"));
  await installation.stop();
  const violations = [...found.violations, ...leftovers(installation)];
  const seconds = (performance.now() - startMs) / 1000;
  if (violations.length === 0) rmSync(folder, { recursive: true, force: true });
  return {
    ...found,
    recoveriesMs,
    violations,
    seconds,
    ...(withoutDisk !== undefined && { withoutDisk }),
    ...(violations.length > 0 && { folder }),
  };
}

/** A round that could not be judged, mostly since the daemon has left. */
function broken({ daemon }: Installation, { seed, kind }: Plan, error: unknown): Found {
  const state = daemon.isThere ? "" : "The daemon is not there; its log says why. ";
  const violations: Violation[] = [{ verdict: "wrong", message: `${state}${(error as Error).stack}` }];
  const nothing = {
    streams: 0,
    refused: 0,
    refusals: {},
    resumed: 0,
    resumedBySdk: 0,
    census: nobody,
    finalKills: 0,
  };
  return {
    seed,
    kind,
    ...nothing,
    grown: { residentBytes: 0, heldBytes: 0 },
    decisions: 0,
    faults: {},
    outcomes: {},
    violations,
  };
}

function start({ kind, smallDisk }: Plan, folder: string): Promise<Installation> {
  if (kind === "embedded") return startEmbeddedInstallation(folder);
  return startFakeInstallation({ folder, strict: strictFakes, loose: looseFakes, paced: true, smallDisk });
}

type Found = Omit<RoundVerdict, "seconds" | "folder" | "recoveriesMs" | "withoutDisk">;

async function runIn(installation: Installation, plan: Plan, reference: Place, stage: Stage): Promise<Found> {
  const { seed, kind, variants, tasks } = plan;
  const { url, daemon } = installation;
  const texts = await undisturbed(kind === "fakes" ? reference : installation, `alone-${seed}`, variants);
  // What is opened with the first use is open before anything is counted.
  if (kind === "fakes") await undisturbed(installation, `warm-${seed}`, variants.slice(0, 4));
  const rest = await restOf(installation);
  const census = takeCensus(stage, daemon);
  const storming = clients(tasks, plan, stage);
  const stormed = await storm(installation, plan, stage, storming.instant);
  const lives = [...(await storming.lives()), ...stormed.lives];
  const violations = [...stormed.violations, ...(await healed(installation, stormed.done))];
  lives.push(...(await clients(plan.after, plan, stage).lives()));
  const probed = await probe(installation, plan, texts);
  violations.push(...probed.violations);
  const isLong = (variant: Variant) => variant.maxTokens > 1000;
  const long = kind === "fakes" ? variants.find(isLong) : undefined;
  const slow = long === undefined ? undefined : await slowDisk(installation, plan, long);
  violations.push(...(slow?.violations ?? []));
  const views = await endedViews(url);
  const ids = lives.filter(({ admission }) => admission !== undefined).map(({ task }) => task.id);
  const streams = await readAgain(url, [...new Set([...ids, ...views.keys()])]);
  const outcomes = judgeLives({ lives, views, streams, texts, kind, installation }, violations);
  violations.push(...(await leaksIn(installation, rest)));
  const sinceMs = daemon.life.spawnedAtMs;
  const ownTasks = probed.tasks + (slow === undefined ? 0 : 2);
  const log = new LogLines(installation.logFile, daemon.life.logFrom);
  const seen = {
    lives,
    ownTasks,
    views,
    streams,
    sinceMs,
    flips: flipsIn(plan),
    log,
  };
  violations.push(...judgeCounters(await scrape(url), seen));
  const { leaks, ...grown } = await growthOf(installation, rest);
  violations.push(...leaks.map((message): Violation => ({ verdict: "leaked", message })));
  const counted = await census();
  violations.push(...(await reborn(installation, lives, variants, streams)));
  const left = await daemon.leave();
  if (left !== undefined) violations.push({ verdict: "wrong", message: left });
  const decided = await retold(join(installation.dataDir, "journal"));
  violations.push(...decided.violations);
  const resumesOf = (some: readonly Life[]) => some.flatMap(({ resumedAtMs }) => resumedAtMs).length;
  return {
    seed,
    kind,
    streams: ids.length,
    refused: lives.length - ids.length,
    refusals: refusalsOf(lives),
    resumed: resumesOf(lives),
    resumedBySdk: resumesOf(lives.filter(({ task }) => task.reading.kind === "sdk")),
    census: counted,
    finalKills: 1,
    ...(slow !== undefined && { gapMs: slow.gapMs }),
    grown,
    decisions: decided.events,
    faults: stormed.done,
    outcomes,
    violations,
  };
}

function refusalsOf(lives: readonly Life[]): Tally {
  const refusals: Tally = {};
  for (const { admission, refusal = "no answer" } of lives) {
    if (admission === undefined) count(refusals, refusal);
  }
  return refusals;
}

interface Judged {
  readonly lives: readonly Life[];
  readonly views: ReadonlyMap<string, TaskView>;
  readonly streams: ReadonlyMap<string, Received>;
  readonly texts: readonly string[];
  readonly kind: Kind;
  readonly installation: Installation;
}

function judgeLives(judged: Judged, violations: Violation[]): Tally {
  const { lives, views, streams, texts, kind, installation } = judged;
  const { logFile, daemon, engines } = installation;
  const startsMs = daemon.lives.map(({ spawnedAtMs }) => spawnedAtMs);
  const strictPools = new Set(engines.filter(({ isStrict }) => isStrict).map(({ poolId }) => poolId));
  const placed = new LogLines(logFile).poolsPerTask("task_placed");
  const outcomes: Tally = {};
  for (const life of lives) {
    const { id, variant } = life.task;
    const again = streams.get(id) ?? new Received();
    const expected = texts[variant] as string;
    const pools = placed.get(id) ?? [];
    const isRemade = pools.some((pool) => strictPools.has(pool));
    const seen = { life, expected, view: views.get(id), again, attempts: pools.length };
    const isMixed = isRemade && pools.some((pool) => !strictPools.has(pool));
    const evidence = { ...seen, isRemade, isMixed, startsMs, flips: kind === "fakes" };
    violations.push(...judgeTask(evidence));
    if (life.admission !== undefined)
      count(outcomes, again.terminal?.data.code ?? stateOf(again) ?? "unknown");
  }
  return outcomes;
}

/** Of every task that its daemon still lists, when all of them have ended or should have. */
async function endedViews(url: string): Promise<Map<string, TaskView>> {
  let views = new Map<string, TaskView>();
  await until(async () => {
    views = await viewsOf(url);
    return [...views.values()].every(({ ended_at_ms: at }) => at !== null);
  }, 10_000);
  return views;
}

/** Everybody starts now; the instants of a plan count from here. */
function clients(tasks: readonly PlannedTask[], { variants }: Plan, stage: Stage) {
  const startMs = performance.now();
  const instant = (atMs: number) =>
    delay(Math.max(0, startMs + atMs - performance.now()), undefined, { signal: stage.signal });
  const living = tasks.map((task) => live(task, variants[task.variant] as Variant, stage, instant));
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
      return life ?? { ...newLife(task), failure: "Its client still waits." };
    }),
  );
  over.abort();
  return lives;
}

/** Every engine is asked until it serves again; a drained one stays as it is, whoever was killed since. */
async function healed({ url, engines }: Installation, faults: Tally): Promise<Violation[]> {
  const drained = engines[0]?.faults === undefined ? 0 : (faults.drain ?? 0);
  const wanted = new Set(engines.map(({ poolId }) => poolId)).size - drained;
  let said = "";
  const serves = await until(async () => {
    const { pools } = await askJson<PoolList>("GET", `${url}/v2/pools`);
    const ready = pools.filter(({ health }) => health.ready).length;
    const draining = pools.filter(({ health }) => health.draining).length;
    said = `${ready} of ${wanted} pools serve, and ${draining} of ${drained} drain`;
    return ready === wanted && draining === drained;
  }, 20_000);
  return serves ? [] : [{ verdict: "leaked", message: `After the healing ${said}.` }];
}

async function leaksIn(installation: Installation, rest: Rest): Promise<Violation[]> {
  const leaks = await leaksOf(installation, rest);
  return leaks.map((message) => ({ verdict: "leaked", message }));
}

function leftovers({ daemon, pids }: Installation): Violation[] {
  const left = [...daemon.lives.map(({ pid }) => pid), ...pids()].filter(isRunning);
  return left.map((each) => ({ verdict: "leaked", message: `Process ${each} is still there.` }));
}
