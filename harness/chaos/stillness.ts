// What an installation holds when nothing is going on: handles, memory, leases, slots. Afterwards it must
// hold no more than before.

import { setTimeout as delay } from "node:timers/promises";
import type { PoolList, TaskList, TaskView } from "@llama-orch/contract";
import { Exposition } from "./exposition.ts";
import type { Installation } from "./installation.ts";
import { litterIn } from "./litter.ts";
import { handlesOf, residentBytesOf, threadsOf } from "./processes.ts";
import { ask, askJson } from "./wire.ts";

export interface Rest {
  readonly handles: readonly string[];
  readonly residentBytes: number;
  readonly heldBytes: number;
  readonly threads: number;
}

/** Files that are opened with the first use and stay open: spill, transcripts, their successors. */
const filesMore = 4;
/** Those that Node starts with its first long call and keeps. */
const threadsMore = 4;
/** Compiled code and a heap that had to grow once. */
const residentMoreBytes = 96 << 20;
/** Ended tasks that are still listed, transcripts that are kept in memory, and compiled code. */
const heldMoreBytes = 32 << 20;
const stillWithinMs = 10_000;
const lookEveryMs = 50;

/** Asked of one life of a daemon, and held against a later one: they are the same program. */
export async function restOf({ url, daemon }: Installation): Promise<Rest> {
  await until(async () => (await scrape(url)).sum("active_leases") === 0, stillWithinMs);
  await delay(100);
  const { pid } = daemon.life;
  const heldBytes = await daemon.heldBytes();
  // The inspector that was asked stays open.
  return { handles: handlesOf(pid), residentBytes: residentBytesOf(pid), heldBytes, threads: threadsOf(pid) };
}

/** What is still held after a while that nobody should hold. */
export async function leaksOf(installation: Installation, rest: Rest): Promise<string[]> {
  let leaks: string[] = [];
  await until(async () => {
    leaks = await heldBy(installation, rest);
    return leaks.length === 0;
  }, stillWithinMs);
  return leaks;
}

async function heldBy(installation: Installation, rest: Rest): Promise<string[]> {
  const { url, daemon, engines } = installation;
  const { pid } = daemon.life;
  const scraped = await scrape(url);
  const leaks: string[] = [];
  for (const gauge of ["active_leases", "queue_depth"]) {
    const value = scraped.sum(gauge);
    if (value !== 0) leaks.push(`${gauge} is ${value}.`);
  }
  for (const engine of engines) {
    const busy = (await engine.busySlots?.()) ?? 0;
    if (busy > 0) leaks.push(`The engine of ${engine.poolId} has ${busy} busy slots.`);
  }
  const { pools } = await askJson<PoolList>("GET", `${url}/v2/pools`);
  for (const { pool_id, health } of pools) {
    const { slots_free: free, slots_total: total } = health.metrics;
    if (health.ready && free !== total) leaks.push(`Pool ${pool_id} has ${free} of ${total} slots free.`);
  }
  leaks.push(...moreHandles(handlesOf(pid), installation, rest));
  const threads = threadsOf(pid);
  if (threads > rest.threads + threadsMore)
    leaks.push(`There are ${threads} threads, and there were ${rest.threads}.`);
  leaks.push(...litterIn(installation.dataDir));
  return leaks;
}

/** What the daemon holds more than at rest, and whether that is too much. */
export async function growthOf({ daemon }: Installation, rest: Rest): Promise<Growth> {
  const { pid } = daemon.life;
  const heldBytes = (await daemon.heldBytes()) - rest.heldBytes;
  const residentBytes = residentBytesOf(pid) - rest.residentBytes;
  const leaks = [
    ...(heldBytes > heldMoreBytes ? [`${heldBytes >> 20} MiB more are in use.`] : []),
    ...(residentBytes > residentMoreBytes ? [`Memory has grown by ${residentBytes >> 20} MiB.`] : []),
  ];
  return { residentBytes, heldBytes, leaks };
}

export interface Growth {
  readonly residentBytes: number;
  readonly heldBytes: number;
  readonly leaks: readonly string[];
}

/** An adapter keeps that many idle connections; the watch of an external engine has an adapter of its own. */
const idlePerEngine = 2 * 8;

function moreHandles(now: readonly string[], { url, engines }: Installation, { handles }: Rest): string[] {
  const own = `socket: ${new URL(url).port} to`;
  const kinds: readonly [what: string, is: (one: string) => boolean, allowed: number][] = [
    ["connections of clients", (one) => one.startsWith(own), 0],
    [
      "connections to engines",
      (one) => one.startsWith("socket:") && !one.startsWith(own),
      idlePerEngine * engines.length,
    ],
    ["other handles", (one) => !one.startsWith("socket:"), filesMore],
  ];
  return kinds.flatMap(([what, is, allowed]) => {
    const [after, before] = [now.filter(is), handles.filter(is)];
    const more = after.filter((one) => !before.includes(one)).join("; ");
    if (after.length <= before.length + allowed) return [];
    return [`There are ${after.length} ${what}, and there were ${before.length}: ${more}.`];
  });
}

export async function scrape(url: string): Promise<Exposition> {
  return new Exposition((await ask("GET", `${url}/metrics`)).body);
}

/** Every task the daemon knows, by its name. */
export async function viewsOf(url: string): Promise<Map<string, TaskView>> {
  const views = new Map<string, TaskView>();
  let cursor = "";
  for (;;) {
    const page = await askJson<TaskList>("GET", `${url}/v2/tasks?limit=100${cursor}`);
    for (const view of page.tasks) views.set(view.task_id, view);
    if (page.next_cursor === undefined) return views;
    cursor = `&cursor=${encodeURIComponent(page.next_cursor)}`;
  }
}

/** Whether it came true in time. */
export async function until(isTrue: () => Promise<boolean>, withinMs: number): Promise<boolean> {
  const untilMs = performance.now() + withinMs;
  while (!(await isTrue())) {
    if (performance.now() > untilMs) return false;
    await delay(lookEveryMs);
  }
  return true;
}
