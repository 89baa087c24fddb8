// Why nobody takes a task now: the installation is closed to new work, or no pool that may run it can. What
// is said is what the pools really are, and when to come again what is really known.

import type { Task } from "@llama-orch/contract";
import { clampRetry } from "../estimate/backoff.ts";
import type { TaskSubmitted } from "../events.ts";
import type { Refusal } from "../outcome.ts";
import { candidateOf, isHeard, requirementsOf } from "../placement/candidates.ts";
import { noPlaceIn } from "../placement/choose.ts";
import { comingInMs, lastErrorOf, type Readiness, readinessOf } from "../pools/readiness.ts";
import type { Core, Pool, State } from "../state.ts";
import { refuse } from "./refusal.ts";
import { mostMemory, type Needs, targetsFor } from "./target.ts";

/** When to try again where nothing tells when there will be a change. */
const unknownRetryMs = 5000;

/** The whole installation takes nothing new now, whatever its pools could. */
export function closed(state: State): Refusal | undefined {
  if (state.stopping) {
    const message = "This orchestrator is shutting down. Send the task again in a moment.";
    return refuse("POOL_UNAVAILABLE", message, { policy_label: "retry", retry_after_ms: 5000 });
  }
  if (!state.storageFull) return undefined;
  const message = "The disk of this orchestrator is full; tasks that are accepted go on. Free some space.";
  return refuse("POOL_UNAVAILABLE", message, { policy_label: "storage", retry_after_ms: 30_000 });
}

export function noPool(core: Core, event: TaskSubmitted, pools: readonly Pool[], needs: Needs): Refusal {
  const { task, jobId } = event;
  const { state, nowMs } = core;
  const replicas = pools.flatMap((pool) => [...pool.replicas.values()]);
  const candidates = replicas.map((replica) => candidateOf(state, nowMs, replica, jobId));
  const wanted = requirementsOf({ task, faultsByReplica: undefined, ...needs });
  return { ...inWords(core, task, pools, needs), noPlace: noPlaceIn(wanted, candidates) };
}

function inWords(core: Core, task: Task, pools: readonly Pool[], needs: Needs): Refusal {
  const { state, nowMs } = core;
  const states = pools.map((pool) => readinessOf(state, nowMs, pool));
  const details = { retry_after_ms: retryOf(state, nowMs, pools, states) };
  const tooLarge = largerThanAll(core, task, pools, needs);
  if (task.placement.mode === "pin") {
    return refuse("POOL_UNREADY", tooLarge ?? pinnedWords(state, task, pools[0], states[0]), details);
  }
  const lastError = lastErrorOf(pools);
  const why = lastError === undefined ? "" : ` Last error: ${lastError}`;
  if (tooLarge === undefined && states.some(({ kind }) => kind === "draining" || kind === "open")) {
    return refuse("POOL_UNREADY", `The pools of ${task.modelRef} are draining or resting.${why}`, details);
  }
  const serving = states.some(({ kind }) => kind === "serving" || kind === "coming");
  const message = serving
    ? `placement: no pool of ${task.modelRef} that serves now can run the task as it is wished.`
    : `No pool serves ${task.modelRef} with ${task.engine} now.${why}`;
  return refuse("POOL_UNAVAILABLE", tooLarge ?? message, { ...details, policy_label: "retry" });
}

/** What is said where memory is all that is missing. */
function largerThanAll(core: Core, task: Task, pools: readonly Pool[], needs: Needs): string | undefined {
  const without = targetsFor(core, task, pools, { ...needs, memoryBytes: 0 });
  if (needs.memoryBytes === 0 || without.length === 0) return undefined;
  const replicas = without.flatMap(({ pool }) => [...pool.replicas.values()]);
  const most = Math.max(...replicas.map((replica) => mostMemory(core.state, replica)));
  return `memory: the task needs ${needs.memoryBytes} bytes and at most ${most} can come free where it may run.`;
}

/** Only one pool may run it, so what is said is how that one is. */
function pinnedWords(state: State, task: Task, pool: Pool | undefined, readiness?: Readiness): string {
  if (pool === undefined || readiness === undefined) {
    return `The pinned pool ${task.placement.pinPoolId} does not serve ${task.modelRef} now.`;
  }
  const subject = `The pinned pool ${pool.id}`;
  switch (readiness.kind) {
    case "draining":
      return `${subject} is draining and takes no new tasks.`;
    case "open":
      return `${subject} rests for ${Math.ceil(readiness.inMs)} ms after faults in a row.${errorOf(pool)}`;
    case "serving":
    case "coming":
      return `${subject} serves, but none of its engines has what the task needs.`;
    case "down":
      return `${subject} ${downWords(state, pool)}.${errorOf(pool)}`;
    default:
      return readiness satisfies never;
  }
}

function downWords(state: State, { replicas }: Pool): string {
  const all = [...replicas.values()];
  if (all.length === 0) return "has no engine";
  if (!all.some((replica) => isHeard(state, replica))) return "is on nodes that are not heard";
  if (all.every(({ status }) => status === "failed")) return "has failed";
  const words = new Set(all.map(({ status }) => status.replace("_", " ")));
  return `has no engine that is ready; they are ${[...words].sort().join(" or ")}`;
}

function errorOf(pool: Pool): string {
  const lastError = lastErrorOf([pool]);
  return lastError === undefined ? "" : ` Last error: ${lastError}`;
}

/** The first change that is known to come: the end of a breaker's pause, or an engine that comes up. */
function retryOf(state: State, nowMs: number, pools: readonly Pool[], states: readonly Readiness[]): number {
  const known = states.flatMap((readiness) => (readiness.kind === "open" ? [readiness.inMs] : []));
  for (const [i, pool] of pools.entries()) {
    if (states[i]?.kind !== "down") continue;
    for (const replica of pool.replicas.values()) {
      const inMs = comingInMs(nowMs, replica);
      if (inMs !== Infinity && isHeard(state, replica)) known.push(inMs);
    }
  }
  return clampRetry(known.length === 0 ? unknownRetryMs : Math.min(...known));
}
