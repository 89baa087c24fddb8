// What goes wrong in a round, drawn from its seed: with each engine, with the daemon, with the disk under it,
// and by the hand of an operator. Faults of one line never overlap; those of different lines do.

import type { FakeFaults } from "@llama-orch/engines/fake";
import type { Random } from "../sim/random.ts";

export type Kind = "fakes" | "embedded";

export type EngineFault =
  /** kill -9; where no supervisor does it, the process is started again after `downMs`. */
  | { readonly kind: "kill"; readonly downMs: number }
  /** SIGSTOP, and SIGCONT later. */
  | { readonly kind: "stop"; readonly forMs: number }
  | { readonly kind: "sick"; readonly faults: FakeFaults; readonly forMs: number };

export type OperatorAct =
  | { readonly kind: "drain"; readonly deadlineMs: number }
  | { readonly kind: "reload"; readonly deadlineMs: number };

export type DaemonFault =
  /** kill -9 of the orchestrator, and its return with a wall clock that is wrong by `shiftMs`. */
  | { readonly kind: "daemon-kill"; readonly downMs: number; readonly shiftMs: number }
  /** SIGTERM, and the same return. */
  | { readonly kind: "daemon-leave"; readonly downMs: number; readonly shiftMs: number }
  | { readonly kind: "daemon-stop"; readonly forMs: number };

export type DiskFault =
  | { readonly kind: "slow-disk"; readonly commitMs: number; readonly forMs: number }
  | { readonly kind: "full-disk"; readonly forMs: number };

type At = { readonly atMs: number };
/** What is due too early begins when the one before it is over. */
export type PlannedFault = (EngineFault | OperatorAct) & At & { readonly engine: number };
export type PlannedDaemonFault = DaemonFault & At;
export type PlannedDiskFault = DiskFault & At;

/** Engines of the fake installation: those of the strict set come first. */
export const strictFakes = 3;
export const looseFakes = 2;
export const embeddedReplicas = 2;

export interface Weather {
  readonly kind: Kind;
  readonly stormMs: number;
  readonly smallDisk: boolean;
}

export interface PlannedFaults {
  readonly faults: readonly PlannedFault[];
  readonly daemon: readonly PlannedDaemonFault[];
  readonly disk: readonly PlannedDiskFault[];
}

export function drawFaults(random: Random, weather: Weather): PlannedFaults {
  const engines = weather.kind === "fakes" ? strictFakes + looseFakes : embeddedReplicas;
  const faults = Array.from({ length: engines }, (_, engine) =>
    drawEngine(random.fork(`engine ${engine}`), engine, weather),
  );
  return {
    faults: [...faults.flat(), ...drawActs(random.fork("acts"), weather)],
    daemon: drawDaemon(random.fork("daemon"), weather),
    disk: weather.kind === "fakes" ? drawDisk(random.fork("disk"), weather) : [],
  };
}

function drawEngine(random: Random, engine: number, { kind, stormMs }: Weather): PlannedFault[] {
  const faults: PlannedFault[] = [];
  // The demo model takes a second and more to come back.
  const pauseMs = kind === "fakes" ? 500 : 1500;
  for (let atMs = random.gapMs(pauseMs); atMs < stormMs; atMs += random.gapMs(pauseMs)) {
    const fault = kind === "fakes" ? drawFakeFault(random, engine < strictFakes) : drawSignal(random);
    faults.push({ ...fault, atMs, engine });
    atMs += fault.kind === "kill" ? fault.downMs : fault.forMs;
  }
  return faults;
}

function drawSignal(random: Random): EngineFault {
  if (random.chance(0.7)) return { kind: "kill", downMs: random.integer(0, 300) };
  // From a hiccup to far beyond the silence that an attempt survives.
  return { kind: "stop", forMs: random.pick([30, 200, 900, 2000]) };
}

function drawFakeFault(random: Random, strict: boolean): EngineFault {
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
function drawActs(random: Random, { kind, stormMs }: Weather): PlannedFault[] {
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

const hourMs = 3_600_000;
const minuteMs = 60_000;

/** Between the return of a daemon and its next fault; where engines go with it, it returns more slowly. */
const daemonPauseMs = { fakes: 1500, embedded: 1500 };
const returnsAfterMs = { fakes: 700, embedded: 2500 };

function drawDaemon(random: Random, { kind, stormMs }: Weather): PlannedDaemonFault[] {
  const faults: PlannedDaemonFault[] = [];
  // One at least, and in time for it to be missed by somebody.
  for (let atMs = random.between(300, 1100); atMs < stormMs; atMs += random.gapMs(daemonPauseMs[kind])) {
    const fault = drawDaemonFault(random);
    faults.push({ ...fault, atMs });
    atMs += fault.kind === "daemon-stop" ? fault.forMs : fault.downMs + returnsAfterMs[kind];
  }
  return faults;
}

function drawDaemonFault(random: Random): DaemonFault {
  const back = {
    downMs: random.integer(0, 500),
    // Deadlines are an hour away, and what is hours behind must not bring one nearer.
    shiftMs: random.pick([0, 0, -3 * hourMs, -minuteMs, minuteMs, 5 * minuteMs]),
  };
  const kind = random.next();
  if (kind < 0.7) return { kind: "daemon-kill", ...back };
  if (kind < 0.85) return { kind: "daemon-leave", ...back };
  return { kind: "daemon-stop", forMs: random.pick([30, 200, 900, 2000]) };
}

function drawDisk(random: Random, { stormMs, smallDisk }: Weather): PlannedDiskFault[] {
  const slow = (share: number): PlannedDiskFault => ({
    kind: "slow-disk",
    atMs: share * stormMs,
    commitMs: random.integer(50, 500),
    forMs: random.integer(300, 1500),
  });
  const full = (share: number): PlannedDiskFault => ({
    kind: "full-disk",
    atMs: share * stormMs,
    forMs: random.integer(200, 1500),
  });
  const early = random.between(0.05, 0.35);
  const late = random.between(0.5, 0.8);
  if (!smallDisk) return random.chance(0.5) ? [slow(early), slow(late)] : [slow(late)];
  return random.chance(0.5) ? [full(early), slow(late)] : [slow(early), full(late)];
}
