// Objectives of a class: first token within a time for 95 of 100 tasks, and few errors. A class that misses
// them in several windows in a row takes no new work for a while; then one task may try, and what it shows
// decides. A deprecated model is held to nothing tighter than what held when it was deprecated: nobody tunes
// it any more, and it must not shed its class.

import type { ModelState, Priority } from "@llama-orch/contract";
import { clampRetry } from "../estimate/backoff.ts";
import type { Outcome } from "../outcome.ts";
import type { ClassObjectives, Objectives } from "../settings.ts";
import type { ClassHealth, Core, Live, State } from "../state.ts";

export function freshHealth(nowMs: number, windowMs: number): ClassHealth {
  return {
    windowEndsAtMs: nowMs + windowMs,
    firstTokens: 0,
    lateFirstTokens: 0,
    ended: 0,
    failed: 0,
    failuresAllowed: 0,
    missedWindows: 0,
    openUntilMs: undefined,
    trial: undefined,
  };
}

/** Milliseconds until the class takes work again; 0 while it does. */
export function shedMs(core: Core, priority: Priority): number {
  const health = core.state.classes.get(priority);
  if (health === undefined || core.state.settings.slo.classes[priority] === undefined) return 0;
  roll(core, priority, health);
  if (health.openUntilMs === undefined) return 0;
  if (core.nowMs < health.openUntilMs) return clampRetry(health.openUntilMs - core.nowMs);
  return health.trial === undefined ? 0 : clampRetry(core.state.settings.slo.windowMs);
}

/** The class was half open and this task is the one that tries. */
export function noteTrial(core: Core, live: Live): void {
  if (core.state.settings.slo.classes[live.priority] === undefined) return;
  const health = core.state.classes.get(live.priority);
  if (health?.openUntilMs !== undefined) health.trial = live.jobId;
}

/**
 * A configuration has come. A class without objectives has no health either: what was known of it, its trial
 * too, is forgotten. What it tightened is told for each model to which that does not apply.
 */
export function changeObjectives(core: Core, before: ClassObjectives): void {
  const { classes, settings, models } = core.state;
  const now = settings.slo.classes;
  for (const priority of classes.keys()) if (now[priority] === undefined) classes.delete(priority);
  for (const [modelRef, { frozen }] of models) {
    if (frozen === undefined || !tightens(now, before, frozen)) continue;
    core.emit({ type: "Note", about: "slo-frozen", label: modelRef });
  }
}

/** What a model is held to from its new state on: frozen with its deprecation, until it is active again. */
export function frozenBy(state: State, modelRef: string, life: ModelState): ClassObjectives | undefined {
  const frozen = state.models.get(modelRef)?.frozen;
  if (life === "Deprecated") return frozen ?? state.settings.slo.classes;
  return life === "Retired" ? frozen : undefined;
}

/** Whether something is asked for that neither of the others asked for. */
function tightens(now: ClassObjectives, before: ClassObjectives, frozen: ClassObjectives): boolean {
  return (Object.keys(now) as Priority[]).some((priority) => {
    const objectives = now[priority] ?? {};
    return (Object.keys(objectives) as (keyof Objectives)[]).some((what) => {
      const asked = [before, frozen].map((classes) => classes[priority]?.[what] ?? Infinity);
      return (objectives[what] ?? Infinity) < Math.min(...asked);
    });
  });
}

/** What a task is held to; undefined where nothing is demanded of it. */
function demanded(state: State, live: Live, what: keyof Objectives): number | undefined {
  const configured = state.settings.slo.classes[live.priority]?.[what];
  const modelRef = state.pools.get(live.poolId)?.modelRef ?? live.task.modelRef;
  const frozen = state.models.get(modelRef)?.frozen;
  if (configured === undefined || frozen === undefined) return configured;
  const then = frozen[live.priority]?.[what];
  return then === undefined ? undefined : Math.max(configured, then);
}

/**
 * Measured from admission, since the time in the queue is what shedding relieves. A task that goes on after
 * a loss has shown its first token already.
 */
export function noteFirstToken(core: Core, live: Live): void {
  const health = healthOf(core, live.priority);
  if (health === undefined || live.frames > 0) return;
  const withinMs = demanded(core.state, live, "firstTokenP95Ms");
  if (withinMs === undefined) return;
  health.firstTokens++;
  if (core.nowMs - live.submittedAtMs <= withinMs) return;
  health.lateFirstTokens++;
  if (health.trial === live.jobId) open(core, live.priority, health);
}

export function noteClassEnd(core: Core, live: Live, outcome: Outcome): void {
  const health = healthOf(core, live.priority);
  if (health === undefined) return;
  const failed = outcome.kind === "failed" && live.attempts > 0;
  const errorRate = demanded(core.state, live, "errorRate");
  if (errorRate !== undefined) {
    health.ended++;
    health.failuresAllowed += errorRate;
    if (failed) health.failed++;
  }
  if (health.trial !== live.jobId) return;
  if (failed) return open(core, live.priority, health);
  health.trial = undefined;
  if (outcome.kind !== "done") return;
  health.openUntilMs = undefined;
  health.missedWindows = 0;
  core.emit({ type: "Note", about: "class-restored", label: live.priority });
}

function healthOf(core: Core, priority: Priority): ClassHealth | undefined {
  const { state, nowMs } = core;
  if (state.settings.slo.classes[priority] === undefined) return undefined;
  const health = state.classes.get(priority) ?? freshHealth(nowMs, state.settings.slo.windowMs);
  state.classes.set(priority, health);
  roll(core, priority, health);
  return health;
}

/** Closes the windows that have passed. An empty one is not a missed one, and ends a row of them. */
function roll(core: Core, priority: Priority, health: ClassHealth): void {
  const { windowMs, windows, samplesMin } = core.state.settings.slo;
  if (core.nowMs < health.windowEndsAtMs) return;
  health.missedWindows = isMissed(health, samplesMin) ? health.missedWindows + 1 : 0;
  health.firstTokens = 0;
  health.lateFirstTokens = 0;
  health.ended = 0;
  health.failed = 0;
  health.failuresAllowed = 0;
  if (core.nowMs >= health.windowEndsAtMs + windowMs) health.missedWindows = 0;
  health.windowEndsAtMs = core.nowMs + windowMs;
  if (health.missedWindows >= windows && health.openUntilMs === undefined) open(core, priority, health);
}

/** Added up in parts, the failures that are allowed may come out short by this much. */
const allowedPrecision = 1e-9;

function isMissed(health: ClassHealth, samplesMin: number): boolean {
  if (health.firstTokens >= samplesMin && health.lateFirstTokens > lateAllowed(health.firstTokens))
    return true;
  return health.ended >= samplesMin && health.failed > health.failuresAllowed + allowedPrecision;
}

/** How many of so many may be late while the 95th of a hundred, by nearest rank, is in time. */
export function lateAllowed(count: number): number {
  return count - Math.ceil(count * 0.95);
}

function open(core: Core, priority: Priority, health: ClassHealth): void {
  health.openUntilMs = core.nowMs + core.state.settings.slo.openMs;
  health.trial = undefined;
  health.missedWindows = 0;
  core.emit({ type: "Note", about: "class-shed", label: priority });
}
