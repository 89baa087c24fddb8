// What a round of chaos is going to do, drawn from its seed alone: which tasks are handed in and how they
// are read, and what happens to engines and pools, each at its instant. Nothing is done here.

import type { Determinism } from "@llama-orch/contract";
import type { FakeFaults } from "@llama-orch/engines/fake";
import { Random } from "../sim/random.ts";

export type Kind = "fakes" | "embedded";

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
}

export type Fault =
  /** kill -9; where no supervisor does it, the process is started again after `downMs`. */
  | { readonly kind: "kill"; readonly downMs: number }
  /** SIGSTOP, and SIGCONT later. */
  | { readonly kind: "stop"; readonly forMs: number }
  | { readonly kind: "sick"; readonly faults: FakeFaults; readonly forMs: number }
  | { readonly kind: "drain"; readonly deadlineMs: number }
  | { readonly kind: "reload"; readonly deadlineMs: number };

/** The faults of one engine never overlap: what is due too early begins when the one before is over. */
export type PlannedFault = Fault & { readonly atMs: number; readonly engine: number };

export interface Plan {
  readonly seed: number;
  readonly kind: Kind;
  readonly variants: readonly Variant[];
  readonly tasks: readonly PlannedTask[];
  /** Handed in once all is healed, many to be cancelled: no restart hides what they leave behind. */
  readonly after: readonly PlannedTask[];
  readonly faults: readonly PlannedFault[];
}

/** What a short round has less of. */
export interface Size {
  readonly kind?: Kind;
  readonly tasks?: number;
  readonly stormMs?: number;
  readonly variants?: number;
  /** Whether some streams are so long that they are spilled, and can be left in good time. */
  readonly long?: boolean;
}

/** Engines of the fake installation: those of the strict set come first. */
export const strictFakes = 3;
export const looseFakes = 2;
export const embeddedReplicas = 2;
/** Of so many seeds in a row one has real engines. */
const embeddedEvery = 4;

export function drawPlan(seed: number, size: Size = {}): Plan {
  const random = new Random(seed, "chaos");
  const kind = size.kind ?? (seed % embeddedEvery === 0 ? "embedded" : "fakes");
  const stormMs = size.stormMs ?? (kind === "fakes" ? 7000 : 9000);
  const texts = random.fork("texts");
  const variants = Array.from({ length: size.variants ?? 24 }, () => drawVariant(texts, kind));
  const load = random.fork("load");
  const count = size.tasks ?? (kind === "fakes" ? 340 : 480);
  const wave = { seed, kind, stormMs, variants: variants.length };
  const tasks = Array.from({ length: count }, (_, n) => drawTask(load, n, wave));
  const after = Array.from({ length: Math.ceil(count / 8) }, (_, n) =>
    drawAfter(random.fork(`after ${n}`), n, wave),
  );
  if (kind === "fakes" && size.long !== false) {
    tasks.push(...longTasks(seed, variants.length, load));
    variants.push({ ...drawVariant(texts, kind), maxTokens: longTokens });
  }
  const engines = kind === "fakes" ? strictFakes + looseFakes : embeddedReplicas;
  const faults = Array.from({ length: engines }, (_, engine) =>
    drawFaults(random.fork(`engine ${engine}`), engine, wave),
  ).flat();
  return { seed, kind, variants, tasks, after, faults: [...faults, ...drawActs(random.fork("acts"), wave)] };
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
  };
}

/** Five seconds and more, which is longer than a task waits for its reader. */
const longTokens = 3900;

function longTasks(seed: number, variant: number, random: Random): PlannedTask[] {
  const common = { variant, determinism: "strict" } as const;
  const cuts = Array.from({ length: 8 }, () => random.integer(1, 30_000));
  return [
    { ...common, id: `long-${seed}-0`, atMs: 0, reading: { kind: "leaves", afterBytes: 500 } },
    { ...common, id: `long-${seed}-1`, atMs: 300, reading: { kind: "cut", cuts, awayMs: 400 } },
  ];
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

function drawFaults(random: Random, engine: number, { kind, stormMs }: Wave): PlannedFault[] {
  const faults: PlannedFault[] = [];
  // The demo model takes a second and more to come back.
  const pauseMs = kind === "fakes" ? 500 : 1500;
  for (let atMs = random.gapMs(pauseMs); atMs < stormMs; atMs += random.gapMs(pauseMs)) {
    const fault = kind === "fakes" ? drawFakeFault(random, engine < strictFakes) : drawSignal(random);
    faults.push({ ...fault, atMs, engine });
    atMs += lengthMs(fault);
  }
  return faults;
}

function lengthMs(fault: Fault): number {
  return fault.kind === "kill" ? fault.downMs : "forMs" in fault ? fault.forMs : 0;
}

function drawSignal(random: Random): Fault {
  if (random.chance(0.7)) return { kind: "kill", downMs: random.integer(0, 300) };
  // From a hiccup to far beyond the silence that an attempt survives.
  return { kind: "stop", forMs: random.pick([30, 200, 900, 2000]) };
}

function drawFakeFault(random: Random, strict: boolean): Fault {
  if (random.chance(0.6)) return drawSignal(random);
  const after = random.integer(0, 24);
  const times = random.integer(1, 4);
  const all: FakeFaults[] = [
    { delay_ms: random.integer(50, 2500), times },
    { stall_after: after, times },
    { reset_after: after, times },
    { cut_after: after, times },
    { error_after: after, times },
    { bad_json_after: after, times },
    { status: 500, times },
    { no_slot: true },
    { loading: true },
  ];
  // Cut after the flip, so that a replay meets a text that was delivered and is wrong.
  if (strict) all.push({ ...flip, times: 1 }, { ...flip, times: 1 });
  return { kind: "sick", faults: random.pick(all), forMs: random.integer(100, 900) };
}

/** An engine that gives another token than it should, and is lost before it has said all. */
export const flip: FakeFaults = { flip_at: 1, cut_after: 4 };

/** What an operator does. A drained fake stays drained, so it is one of three, and late. */
function drawActs(random: Random, { kind, stormMs }: Wave): PlannedFault[] {
  const deadlineMs = random.pick([0, 100, 600]);
  const reload: PlannedFault = {
    kind: "reload",
    engine: kind === "fakes" ? random.integer(0, strictFakes + looseFakes - 1) : 0,
    atMs: random.between(0.1, 0.5) * stormMs,
    deadlineMs,
  };
  const drain: PlannedFault = {
    kind: "drain",
    engine: random.integer(0, kind === "fakes" ? strictFakes - 1 : 0),
    atMs: random.between(0.5, 0.8) * stormMs,
    deadlineMs,
  };
  return [reload, drain];
}
