// Holds the counters of /metrics and the log of the daemon against what the clients of a round have seen.

import { readFileSync } from "node:fs";
import type { TaskView } from "@llama-orch/contract";
import type { Exposition } from "./exposition.ts";
import { replayDiffers, type Violation } from "./outcomes.ts";
import type { Received } from "./received.ts";

export interface Seen {
  readonly views: ReadonlyMap<string, TaskView>;
  /** Every stream, read again when all was over. */
  readonly streams: ReadonlyMap<string, Received>;
  /** Connections that went on from a position. */
  readonly reconnects: number;
  /** Wrong tokens that engines were told to give. */
  readonly flips: number;
  readonly logFile: string;
}

export function judgeCounters(scraped: Exposition, seen: Seen): Violation[] {
  const { views, streams, reconnects, flips, logFile } = seen;
  const all = [...views.values()];
  const differently = all.filter(({ task_id }) => isReplayedDifferently(streams.get(task_id))).length;
  const lost = scraped.sum("attempts_lost_total");
  const log = readFileSync(logFile, "utf8");
  const least = sum(all, (view) => Math.max(0, view.attempt - 1 + lastLost(view, streams.get(view.task_id))));
  const most = least + all.filter(({ state, attempt }) => state === "canceled" && attempt > 0).length;
  const resumedStreams = all.filter(
    ({ state, task_id }) => state === "done" && streams.get(task_id)?.resumed,
  ).length;
  return [
    equal("tasks_enqueued_total", scraped.sum("tasks_enqueued_total"), all.length, "admitted tasks"),
    equal(
      "streams_resumed_total of reconnects",
      scraped.sum("streams_resumed_total", { kind: "reconnect" }),
      reconnects,
      "connections that went on",
    ),
    equal("replay_mismatch_total", scraped.sum("replay_mismatch_total"), differently, "streams that say so"),
    within("replay_mismatch_total", scraped.sum("replay_mismatch_total"), Math.min(1, flips), flips),
    equal("attempts_lost_total", lost, linesOf(log, "attempt_lost"), "lines of the log"),
    within("attempts_lost_total", lost, least, most),
    within(
      "streams_resumed_total of failovers",
      scraped.sum("streams_resumed_total", { kind: "failover" }),
      resumedStreams,
      lost,
    ),
  ].flat();
}

function isReplayedDifferently(stream: Received | undefined): boolean {
  return replayDiffers.test(stream?.terminal?.data.message ?? "");
}

/** Whether the last attempt of a task that failed was lost itself. */
function lastLost({ state, attempt }: TaskView, stream: Received | undefined): number {
  return state === "failed" && attempt > 0 && !isReplayedDifferently(stream) ? 1 : 0;
}

const linesOf = (log: string, event: string): number => log.split(`"event":"${event}"`).length - 1;

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
