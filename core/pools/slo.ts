// Objectives of a class: first token within a time for 95 of 100 tasks, and few errors. A class that misses
// them in several windows in a row takes no new work for a while; then one task may try, and what it shows
// decides.

import type { Priority } from "@llama-orch/contract";
import { clampRetry } from "../estimate/backoff.ts";
import type { Outcome } from "../outcome.ts";
import type { ClassHealth, Core, Live, State } from "../state.ts";

export function freshHealth(nowMs: number, windowMs: number): ClassHealth {
  return {
    windowEndsAtMs: nowMs + windowMs,
    firstTokenMs: [],
    ended: 0,
    failed: 0,
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

/** A class without objectives has no health either: what was known of it, its trial too, is forgotten. */
export function forgetClasses({ classes, settings }: State): void {
  for (const priority of classes.keys()) {
    if (settings.slo.classes[priority] === undefined) classes.delete(priority);
  }
}

/**
 * Measured from admission, since the time in the queue is what shedding relieves. A task that goes on after
 * a loss has shown its first token already.
 */
export function noteFirstToken(core: Core, live: Live): void {
  const health = healthOf(core, live.priority);
  if (health === undefined || live.frames > 0) return;
  const ms = core.nowMs - live.submittedAtMs;
  health.firstTokenMs.push(ms);
  const { firstTokenP95Ms } = core.state.settings.slo.classes[live.priority] ?? {};
  if (health.trial === live.jobId && firstTokenP95Ms !== undefined && ms > firstTokenP95Ms) {
    open(core, live.priority, health);
  }
}

export function noteClassEnd(core: Core, live: Live, outcome: Outcome): void {
  const health = healthOf(core, live.priority);
  if (health === undefined) return;
  const failed = outcome.kind === "failed" && live.attempts > 0;
  health.ended++;
  if (failed) health.failed++;
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
  const { windowMs, windows } = core.state.settings.slo;
  if (core.nowMs < health.windowEndsAtMs) return;
  health.missedWindows = missed(core.state, priority, health) ? health.missedWindows + 1 : 0;
  health.firstTokenMs = [];
  health.ended = 0;
  health.failed = 0;
  if (core.nowMs >= health.windowEndsAtMs + windowMs) health.missedWindows = 0;
  health.windowEndsAtMs = core.nowMs + windowMs;
  if (health.missedWindows >= windows && health.openUntilMs === undefined) open(core, priority, health);
}

function missed(state: State, priority: Priority, health: ClassHealth): boolean {
  const objectives = state.settings.slo.classes[priority] ?? {};
  const { samplesMin } = state.settings.slo;
  const late = objectives.firstTokenP95Ms !== undefined && health.firstTokenMs.length >= samplesMin;
  if (late && p95(health.firstTokenMs) > (objectives.firstTokenP95Ms as number)) return true;
  if (objectives.errorRate === undefined || health.ended < samplesMin) return false;
  return health.failed / health.ended > objectives.errorRate;
}

export function p95(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? 0;
}

function open(core: Core, priority: Priority, health: ClassHealth): void {
  health.openUntilMs = core.nowMs + core.state.settings.slo.openMs;
  health.trial = undefined;
  health.missedWindows = 0;
  core.emit({ type: "Note", about: "class-shed", label: priority });
}
