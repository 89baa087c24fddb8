// What each life of a daemon counted before it ended, looked at again and again while it lived, since nobody
// can look in the instant of a kill. So the sums are no more than what really was.

import { setTimeout as delay } from "node:timers/promises";
import type { DaemonProcess } from "./daemon-process.ts";
import type { Exposition } from "./exposition.ts";
import type { Stage } from "./life.ts";
import { scrape } from "./stillness.ts";

const lookEveryMs = 200;

/** By name: what is summed up over all labels but these. */
const wanted = {
  reconnects: ["streams_resumed_total", { kind: "reconnect" }],
  failovers: ["streams_resumed_total", { kind: "failover" }],
  restarts: ["streams_resumed_total", { kind: "restart" }],
  attemptsLost: ["attempts_lost_total", {}],
  replaysRefused: ["replay_mismatch_total", {}],
} as const;

export type Census = Record<keyof typeof wanted, number>;

export const nobody: Census = {
  reconnects: 0,
  failovers: 0,
  restarts: 0,
  attemptsLost: 0,
  replaysRefused: 0,
};

/** Looks until it is told to stop, and once more then; or until the stage is over. */
export function takeCensus({ url, signal }: Stage, daemon: DaemonProcess): () => Promise<Census> {
  const byLife = new Map<number, Exposition>();
  const over = new AbortController();
  const either = AbortSignal.any([over.signal, signal]);
  const look = async () => {
    const { spawnedAtMs } = daemon.life;
    const scraped = await scrape(url).catch(() => undefined);
    if (scraped !== undefined && daemon.life.spawnedAtMs === spawnedAtMs) byLife.set(spawnedAtMs, scraped);
  };
  const looking = (async () => {
    while (!either.aborted) {
      await look();
      await delay(lookEveryMs, undefined, { signal: either }).catch(() => {
        // It is over, and the loop sees that.
      });
    }
  })();
  return async () => {
    over.abort();
    await looking;
    await look();
    return sumOf([...byLife.values()]);
  };
}

function sumOf(all: readonly Exposition[]): Census {
  const rows = Object.entries(wanted).map(([name, [metric, labels]]) => [
    name,
    all.reduce((sum, one) => sum + one.sum(metric, labels), 0),
  ]);
  return Object.fromEntries(rows) as Census;
}
