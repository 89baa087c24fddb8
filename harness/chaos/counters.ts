// Holds the counters of /metrics and the log of the daemon against what the clients of a round have seen.
// Counters begin anew with each life of the daemon, and nobody can look at them in the instant before a kill;
// so only those of its last life are judged, with what happened in it and in no other: whatever was
// asked for after that life had begun was answered by it, since before nobody listened.

import type { TaskView } from "@llama-orch/contract";
import type { Exposition } from "./exposition.ts";
import type { Life } from "./life.ts";
import type { LogLines } from "./log-lines.ts";
import { replayDiffers, type Violation } from "./outcomes.ts";
import type { Received } from "./received.ts";

export interface Seen {
  readonly lives: readonly Life[];
  /** Tasks of our own besides, handed in and read by nobody of those. */
  readonly ownTasks: number;
  /** Of the last life. */
  readonly views: ReadonlyMap<string, TaskView>;
  /** Every stream, read again when all was over. */
  readonly streams: ReadonlyMap<string, Received>;
  /** When the last life of the daemon began. */
  readonly sinceMs: number;
  /** Wrong tokens that engines were told to give. */
  readonly flips: number;
  /** What the daemon logged in that life. */
  readonly log: LogLines;
}

export function judgeCounters(scraped: Exposition, seen: Seen): Violation[] {
  const { lives, streams, flips, log, sinceMs } = seen;
  const admitted = lives.filter(({ admission }) => admission !== undefined);
  const certain = admitted.filter(({ postedAtMs }) => postedAtMs.every((atMs) => atMs > sinceMs)).length;
  // An answer that was lost may have been an admission of this life or of an earlier one; so may one that
  // nobody ever heard.
  const posts = lives.map(({ postedAtMs }) => postedAtMs.filter((atMs) => atMs > sinceMs).length);
  const possible = sum(posts, (count) => Math.min(1, count));
  const enqueued = scraped.sum("tasks_enqueued_total") - seen.ownTasks;
  const reconnects = lives.flatMap(({ resumedAtMs }) => resumedAtMs).filter((atMs) => atMs > sinceMs).length;
  const lost = scraped.sum("attempts_lost_total");
  const differently = [...streams.values()].filter(isReplayedDifferently).length;
  const mismatches = scraped.sum("replay_mismatch_total");
  const { least, most } = lossesOf(seen);
  return [
    within("tasks_enqueued_total", enqueued, certain, possible),
    equal(
      "streams_resumed_total of reconnects",
      scraped.sum("streams_resumed_total", { kind: "reconnect" }),
      reconnects,
      "connections that went on",
    ),
    within("replay_mismatch_total", mismatches, Math.min(1, flips), Math.min(flips, differently)),
    equal("attempts_lost_total", lost, log.count("attempt_lost"), "lines of the log"),
    within("attempts_lost_total", lost, least, most),
    within(
      "streams_resumed_total of failovers",
      scraped.sum("streams_resumed_total", { kind: "failover" }),
      0,
      lost,
    ),
  ].flat();
}

/** Of tasks that were handed in during that life; those that it took over had lost attempts before. */
function lossesOf({ views, streams, lives, sinceMs }: Seen): { least: number; most: number } {
  const young = lives.filter(({ postedAtMs }) => postedAtMs.every((atMs) => atMs > sinceMs));
  const known = young.flatMap(({ task }) => views.get(task.id) ?? []);
  const least = sum(known, (view) =>
    Math.max(0, view.attempt - 1 + lastLost(view, streams.get(view.task_id))),
  );
  return { least, most: Number.POSITIVE_INFINITY };
}

function isReplayedDifferently(stream: Received | undefined): boolean {
  return replayDiffers.test(stream?.terminal?.data.message ?? "");
}

/** Whether the last attempt of a task that failed was lost itself. */
function lastLost({ state, attempt }: TaskView, stream: Received | undefined): number {
  return state === "failed" && attempt > 0 && !isReplayedDifferently(stream) ? 1 : 0;
}

function equal(name: string, value: number, wanted: number, what: string): Violation[] {
  if (value === wanted) return [];
  return [{ verdict: "miscounted", message: `${name} is ${value}, and there were ${wanted} ${what}.` }];
}

function within(name: string, value: number, least: number, most: number): Violation[] {
  if (value >= least && value <= most) return [];
  return [{ verdict: "miscounted", message: `${name} is ${value}, and it must be ${least} to ${most}.` }];
}

function sum<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((total, one) => total + of(one), 0);
}
