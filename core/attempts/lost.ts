// An attempt was lost: engine, node or connection went away, it hung, or it was stopped for a drain or for
// more urgent work. The task is not failed by that. What was delivered decides how it goes on: a strict one
// is replayed from its start within its set and what readers have is compared and skipped, a best-effort one
// is continued from exactly what they have. When its tries are used up, or going on exactly is impossible, it
// ends with an error.

import { clampRetry, drainInMs } from "../estimate/backoff.ts";
import { predictedMs } from "../estimate/outlook.ts";
import { limits } from "../limits.ts";
import type { LostReason } from "../outcome.ts";
import { isDoubted } from "../placement/candidates.ts";
import { endHomeless, home, isPinnedAway, unseenHome } from "../placement/home.ts";
import { forgetTrial, noteFault } from "../pools/breaker.ts";
import { enqueueReturned } from "../queue/waiting.ts";
import type { Core, Live, Pool, Replica, Resume, Running } from "../state.ts";
import { fail, finish } from "./finish.ts";

/** Nobody's fault: neither the task nor the pool is blamed. */
const blameless: ReadonlySet<string> = new Set(["drain", "preempted", "restart"]);

/** Losses that may have taken the process along, which whoever watches it will say in a moment. */
const doubtful: ReadonlySet<string> = new Set(["crash", "reset", "hung", "watchdog", "busy", "restart"]);

/**
 * Losses that say nothing about the engines of a pool: their node is gone, or somebody else uses their slots.
 */
const notThePool: ReadonlySet<string> = new Set(["node", "busy"]);

export const doubtTimer = (replicaKey: string): string => `doubt ${replicaKey}`;

/**
 * Nothing is sent to a replica that has just lost an attempt until it is heard of again, or for a moment:
 * else a dead process would use up the tries of its tasks before anybody has said that it is dead.
 */
function doubt(core: Core, replica: Replica): void {
  if (replica.status !== "ready" || isDoubted(core.nowMs, replica)) return;
  replica.doubtedUntilMs = core.nowMs + limits.doubtMs;
  core.emit({ type: "SetTimer", timer: doubtTimer(replica.key), atMs: replica.doubtedUntilMs });
}

export function lose(
  core: Core,
  live: Live,
  { replica }: Running,
  pool: Pool,
  reason: "watchdog" | LostReason,
  continuable: boolean,
): void {
  core.emit({ type: "Note", about: "attempt-lost", poolId: pool.id, jobId: live.jobId, label: reason });
  if (blameless.has(reason)) {
    forgetTrial(pool.breaker, live.jobId);
  } else {
    const saysNothing =
      failedElsewhere(live, replica) || notThePool.has(reason) || isDoubted(core.nowMs, replica);
    live.faults++;
    live.faultsByReplica ??= new Map();
    live.faultsByReplica.set(replica.key, (live.faultsByReplica.get(replica.key) ?? 0) + 1);
    if (saysNothing) forgetTrial(pool.breaker, live.jobId);
    else noteFault(core, pool, live.jobId);
  }
  if (doubtful.has(reason)) doubt(core, replica);
  const resume = resumeOf(live, reason === "preempted", continuable);
  if (resume === undefined) {
    const message = "The engine was lost and the text cannot be continued exactly. Send the task again.";
    return fail(core, live, "WORKER_RESET", message);
  }
  if (live.faults >= limits.attemptsPerTask) return giveUp(core, live, reason);
  live.resume = resume;
  if (resume.kind === "continued" && live.tokensOut >= live.task.maxTokens) {
    return finish(core, live, { kind: "done", tokensOut: live.tokensOut, decodeMs: live.decodeMs });
  }
  returnHome(core, live, reason);
}

/** What fails on one replica after another may be at fault itself: that shall close no pool to all others. */
function failedElsewhere({ faultsByReplica }: Live, { key }: Replica): boolean {
  for (const other of faultsByReplica?.keys() ?? []) if (other !== key) return true;
  return false;
}

/** Undefined where going on exactly is impossible. */
function resumeOf(live: Live, preempted: boolean, continuable: boolean): Resume | undefined {
  if (live.frames === 0) return { kind: null, preempted };
  if (live.determinism === "strict") return { kind: "replayed", preempted };
  return continuable ? { kind: "continued", preempted } : undefined;
}

function returnHome(core: Core, live: Live, reason: "watchdog" | LostReason): void {
  const set = home(core, live)?.set ?? unseenHome(core.state, live);
  if (set === undefined && isPinnedAway(core.state, live)) return endHomeless(core, live);
  if (set === undefined) return giveUp(core, live, reason);
  enqueueReturned(core, set, live);
}

/** The tries are used up, or every replica has had its two. */
export function giveUp(core: Core, live: Live, reason: "watchdog" | LostReason): void {
  const tried = `after ${live.attempts} ${live.attempts === 1 ? "attempt" : "attempts"}`;
  if (reason === "watchdog") {
    return fail(core, live, "DECODE_TIMEOUT", `The engine went silent ${tried}. Send the task again later.`);
  }
  if (live.frames > 0) {
    return fail(core, live, "WORKER_RESET", `The engine was lost ${tried} (${reason}). Send the task again.`);
  }
  const message = `No replica could run the task ${tried} (${reason}). Send it again later.`;
  const { drain } = core.state.pools.get(live.poolId) as Pool;
  const service = predictedMs(core.state, live) ?? limits.startingReplicaMs;
  const retryMs = clampRetry(drainInMs(drain, core.nowMs, 1, service));
  fail(core, live, "REPLICA_EXHAUSTED", message, { retry_after_ms: retryMs });
}
