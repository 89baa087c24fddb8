// What a round of chaos is going to do, drawn from its seed alone: which tasks are handed in and how they
// are read, and what happens to engines and pools, each at its instant. Nothing is done here.

import type { Determinism } from "@llama-orch/contract";
import { Random } from "../sim/random.ts";
import { drawFaults, type Kind, type PlannedFaults } from "./plan-faults.ts";

/** A text that can be made; many tasks share one, so that few undisturbed runs are needed. */
export interface Variant {
  readonly prompt: string;
  readonly seed: number;
  readonly maxTokens: number;
}

/** How somebody reads a stream; numbers of bytes count from the start of each connection. */
export type Reading =
  | { readonly kind: "whole" }
  | { readonly kind: "slow"; readonly pauseMs: number }
  /** The connection is cut after each of these many bytes, and taken up again from the last whole frame. */
  | { readonly kind: "cut"; readonly cuts: readonly number[]; readonly awayMs: number }
  /** By the SDK, under which the connection is cut in the same way. */
  | { readonly kind: "sdk"; readonly cuts: readonly number[] }
  | { readonly kind: "leaves"; readonly afterBytes: number }
  | { readonly kind: "nobody" };

export interface PlannedTask {
  readonly id: string;
  readonly atMs: number;
  readonly variant: number;
  readonly determinism: Determinism;
  readonly reading: Reading;
  /** From its admission. */
  readonly cancelAfterMs?: number;
  /** It is handed in once before, by somebody who hangs up so soon that the answer is lost. */
  readonly unheardMs?: number;
}

export interface Plan extends PlannedFaults {
  readonly seed: number;
  readonly kind: Kind;
  readonly variants: readonly Variant[];
  /** Which of them is as short as can be, for who only wants to be admitted. */
  readonly short: number;
  readonly tasks: readonly PlannedTask[];
  /** Handed in once all is healed, many to be cancelled: no restart hides what they leave behind. */
  readonly after: readonly PlannedTask[];
  /** Whether the daemon is to have a disk that can be filled. */
  readonly smallDisk: boolean;
}

/** What a short round has less of. */
export interface Size {
  readonly kind?: Kind;
  readonly tasks?: number;
  readonly stormMs?: number;
  readonly variants?: number;
  /** Whether some streams are so long that they are spilled, and can be left in good time. */
  readonly long?: boolean;
  readonly smallDisk?: boolean;
}

/** Of so many seeds in a row one has real engines. */
const embeddedEvery = 4;
const smallDiskEvery = 2;

export function drawPlan(seed: number, size: Size = {}): Plan {
  const random = new Random(seed, "chaos");
  const kind = size.kind ?? (seed % embeddedEvery === 0 ? "embedded" : "fakes");
  const stormMs = size.stormMs ?? 10_000;
  const smallDisk = size.smallDisk ?? (kind === "fakes" && seed % smallDiskEvery === 1);
  const texts = random.fork("texts");
  const variants = Array.from({ length: size.variants ?? 24 }, () => drawVariant(texts, kind));
  const load = random.fork("load");
  const count = size.tasks ?? (kind === "fakes" ? 340 : 480);
  const wave = { seed, kind, stormMs, variants: variants.length };
  const tasks = Array.from({ length: count }, (_, n) => drawTask(load, n, wave));
  const after = Array.from({ length: Math.ceil(count / 8) }, (_, n) =>
    drawAfter(random.fork(`after ${n}`), n, wave),
  );
  const short = variants.push({ ...drawVariant(texts, kind), maxTokens: shortTokens }) - 1;
  if (kind === "fakes" && size.long !== false) {
    const { left, cut } = longTasks(seed, variants.length, load);
    tasks.push(cut);
    after.push(left);
    variants.push({ ...drawVariant(texts, kind), maxTokens: longTokens });
  }
  const weather = drawFaults(random, { kind, stormMs, smallDisk });
  return { seed, kind, variants, short, tasks, after, smallDisk, ...weather };
}

interface Wave {
  readonly seed: number;
  readonly kind: Kind;
  readonly stormMs: number;
  readonly variants: number;
}

const subjects = ["the moon", "rain", "a llama", "a lighthouse", "loneliness", "snow", "the sea", "a frog"];

function drawVariant(random: Random, kind: Kind): Variant {
  return {
    prompt: `Write a haiku about ${random.pick(subjects)}.`,
    seed: random.integer(1, 1_000_000),
    // The demo model stops by itself after its third line.
    maxTokens: kind === "fakes" ? random.integer(16, 120) : 48,
  };
}

function drawTask(random: Random, n: number, { seed, kind, stormMs, variants }: Wave): PlannedTask {
  return {
    id: `chaos-${seed}-${n}`,
    atMs: kind === "fakes" ? random.between(0, 0.9 * stormMs) : burstMs(random, stormMs),
    variant: random.integer(0, variants - 1),
    determinism: kind === "fakes" && random.chance(0.4) ? "best_effort" : "strict",
    reading: drawReading(random),
    ...(random.chance(0.12) && { cancelAfterMs: random.between(0, 1200) }),
    ...(random.chance(0.1) && { unheardMs: random.integer(0, 6) }),
  };
}

const shortTokens = 2;
/** Five seconds and more, which is longer than a task waits for its reader. */
const longTokens = 3900;

/** After a restart a task waits longer for its readers; so one is left only when nothing is killed. */
function longTasks(seed: number, variant: number, random: Random): Record<"left" | "cut", PlannedTask> {
  const common = { variant, determinism: "strict" } as const;
  const cuts = Array.from({ length: 8 }, () => random.integer(1, 30_000));
  return {
    left: { ...common, id: `long-${seed}-0`, atMs: 0, reading: { kind: "leaves", afterBytes: 500 } },
    cut: { ...common, id: `long-${seed}-1`, atMs: 300, reading: { kind: "cut", cuts, awayMs: 400 } },
  };
}

/** The demo model is so fast that only crowds keep it busy. */
function burstMs(random: Random, stormMs: number): number {
  const bursts = Math.floor(stormMs / 1100);
  return 1100 * random.integer(0, bursts - 1) + random.between(0, 150);
}

function drawAfter(random: Random, n: number, wave: Wave): PlannedTask {
  const task = drawTask(random, n, wave);
  const cancel = random.chance(0.5) && { cancelAfterMs: random.between(0, 200) };
  return { ...task, ...cancel, id: `after-${wave.seed}-${n}`, atMs: random.between(0, 500) };
}

function drawReading(random: Random): Reading {
  const cuts = () => Array.from({ length: random.integer(1, 4) }, () => random.integer(1, 3000));
  const kind = random.next();
  if (kind < 0.3) return { kind: "cut", cuts: cuts(), awayMs: random.pick([0, 0, 20, 150]) };
  if (kind < 0.55) return { kind: "sdk", cuts: random.chance(0.6) ? cuts() : [] };
  if (kind < 0.7) return { kind: "slow", pauseMs: random.integer(5, 150) };
  if (kind < 0.78) return { kind: "leaves", afterBytes: random.integer(1, 2000) };
  if (kind < 0.86) return { kind: "nobody" };
  return { kind: "whole" };
}
