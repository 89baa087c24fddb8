// An attempt has ended, whatever way: its slot is free, what was measured is learnt, and its task is finished
// or goes on elsewhere. Reports about attempts that are no longer the task's own change nothing.

import { measure } from "../estimate/rates.ts";
import { predict } from "../estimate/trend.ts";
import type { AttemptEnded, AttemptProgressed, AttemptStalled, FirstToken } from "../events.ts";
import type { LostReason } from "../outcome.ts";
import { forgetTrial, noteSuccess } from "../pools/breaker.ts";
import { isPhantom } from "../pools/phantom.ts";
import { noteFirstToken } from "../pools/slo.ts";
import { heldSession } from "../sessions.ts";
import type { Core, Live, Pool, Running, State } from "../state.ts";
import { fail, finish, settleAccounts } from "./finish.ts";
import { lose } from "./lost.ts";

/** The live task whose current attempt an event is about. */
export function runningOf(
  state: State,
  { jobId, attempt }: { readonly jobId: string; readonly attempt: number },
): { readonly live: Live; readonly running: Running } | undefined {
  const live = state.jobs.get(jobId);
  if (live?.place?.kind !== "running" || live.place.attempt !== attempt) return undefined;
  return { live, running: live.place };
}

export function firstToken(core: Core, event: FirstToken): void {
  const found = runningOf(core.state, event);
  if (found === undefined || found.running.firstTokenAtMs !== undefined) return;
  const { live, running } = found;
  running.firstTokenAtMs = core.nowMs;
  running.expectedEndAtMs = core.nowMs + remainingMs(live, running);
  noteFirstToken(core, live);
  const session = heldSession(live);
  if (session !== undefined) session.kvWarm = live.determinism === "best_effort" && event.cachedTokens > 0;
}

export function progressed(core: Core, event: AttemptProgressed): void {
  const found = runningOf(core.state, event);
  if (found === undefined) return;
  found.running.tokens = Math.max(found.running.tokens, event.tokens);
  found.live.frames = Math.max(found.live.frames, event.frames);
  found.running.expectedEndAtMs = core.nowMs + remainingMs(found.live, found.running);
}

/** Decoding that is still to come, by what its replica needed for others. */
function remainingMs(live: Live, { replica, tokens }: Running): number {
  const { decode, yield: share } = replica.rates;
  if (decode.weight === 0) return 0;
  const expected = Math.max(live.outputTokens * share.value - tokens, 0.1 * live.outputTokens);
  return predict(decode, expected);
}

/** The engine went silent: it is told to stop, and the attempt is lost once it has. */
export function stalled(core: Core, event: AttemptStalled): void {
  const found = runningOf(core.state, event);
  if (found === undefined) return;
  stop(core, found.live, found.running, "watchdog");
}

/** Ends an attempt from here; what becomes of its task is decided when the end is reported. */
export function stop(core: Core, live: Live, running: Running, reason: "watchdog" | LostReason): void {
  if (running.ending !== undefined) return;
  running.ending = reason;
  core.emit({ type: "AbortAttempt", jobId: live.jobId, attempt: running.attempt, reason });
}

/** A slot of the replica is free again. */
export function attemptEnded(
  core: Core,
  live: Live,
  running: Running,
  pool: Pool,
  event: AttemptEnded,
): void {
  running.replica.running.delete(live);
  if (running.replica.running.size === 0) pool.departed.delete(running.replica);
  live.place = undefined;
  book(live, event);
  if (live.over) {
    core.state.jobs.delete(live.jobId);
    settleAccounts(core.state, live);
    forgetTrial(pool.breaker, live.jobId);
    return;
  }
  conclude(core, live, running, pool, event);
}

/** Tokens count once, however often they were made: a replay is free. */
function book(live: Live, event: AttemptEnded): void {
  live.frames = Math.max(live.frames, event.frames);
  live.tokensOut = Math.max(live.tokensOut, event.tokensOut);
  const continued = live.resume?.kind === "continued";
  live.decodeMs = continued ? live.decodeMs + event.decodeMs : Math.max(live.decodeMs, event.decodeMs);
}

function conclude(core: Core, live: Live, running: Running, pool: Pool, event: AttemptEnded): void {
  const { ending } = event;
  switch (ending.kind) {
    case "done":
      noteSuccess(core, pool);
      learnFrom(live, running, event);
      finish(core, live, { kind: "done", tokensOut: live.tokensOut, decodeMs: live.decodeMs });
      return;
    case "refused":
      forgetTrial(pool.breaker, live.jobId);
      fail(core, live, ending.code, ending.message);
      return;
    case "mismatch":
      core.emit({ type: "Note", about: "replay-mismatch", poolId: pool.id, jobId: live.jobId });
      forgetTrial(pool.breaker, live.jobId);
      fail(core, live, "WORKER_RESET", "A replay gave other text than was already delivered. Send it again.");
      return;
    case "aborted":
    case "lost": {
      const reason = isPhantom(running.replica)
        ? "restart"
        : (running.ending ?? (ending.kind === "lost" ? ending.reason : "reset"));
      lose(core, live, running, pool, reason === "canceled" ? "reset" : reason, event.continuable);
      return;
    }
    default:
      ending satisfies never;
  }
}

function learnFrom(live: Live, { replica }: Running, event: AttemptEnded): void {
  if (event.attemptTokens <= 0) return;
  measure(replica.rates, {
    promptTokens: event.promptTokens,
    prefillMs: event.prefillMs,
    tokensOut: event.attemptTokens,
    decodeMs: event.decodeMs,
    outputTokens: live.outputTokens,
  });
}
