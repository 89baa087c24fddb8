// Room in a full queue, as its one policy says. Nothing is changed here: what comes out is a plan, which
// waiting tasks would have to go, or the refusal of the newcomer.

import type { FullPolicy, Priority } from "@llama-orch/contract";
import { retryAfterMs } from "../estimate/backoff.ts";
import type { Refusal } from "../outcome.ts";
import { rankOf } from "../placement/replica-set.ts";
import type { Fifo } from "../queue/fifo.ts";
import { waitingIn } from "../queue/waiting.ts";
import type { Live, Pool } from "../state.ts";
import { refuse } from "./refusal.ts";

export interface Newcomer {
  readonly priority: Priority;
  readonly outputTokens: number;
  readonly bodyBytes: number;
}

export interface RoomPlan {
  readonly expire: readonly Live[];
  readonly evict: readonly Live[];
  readonly by: FullPolicy | "preempted";
  /** When those who had to go may come again. */
  readonly retryMs: number;
}

const roomy: RoomPlan = { expire: [], evict: [], by: "reject", retryMs: 0 };

interface Fill {
  total: number;
  ofClass: number;
  tokens: number;
}

/** @param hopeless waiting tasks that can no longer meet their deadline; they go before anyone else. */
export function planRoom(
  pool: Pool,
  newcomer: Newcomer,
  hopeless: () => Iterable<Live>,
  declaredGapMs: number,
): RoomPlan | Refusal {
  const { settings } = pool;
  const fill = fillOf(pool, newcomer.priority);
  if (pool.waitingBodyBytes + newcomer.bodyBytes > settings.maxBodyBytes) {
    const message = `Pool ${pool.id} holds as many bytes of waiting prompts as it may.`;
    return refuse("ADMISSION_REJECT", message, {
      policy_label: "quota",
      retry_after_ms: retry(pool, 1, declaredGapMs),
    });
  }
  if (fits(pool, newcomer, fill)) return roomy;
  const expired: Live[] = [];
  for (const live of hopeless()) {
    expired.push(live);
    leave(fill, live, newcomer.priority);
    if (fits(pool, newcomer, fill)) break;
  }
  const evicted: Live[] = [];
  const gone = new Set(expired);
  const by = policyOf(pool, newcomer);
  while (!fits(pool, newcomer, fill)) {
    const victim = victimOf(pool, newcomer, by, fill, gone);
    if (victim === undefined) return full(pool, newcomer, fill, declaredGapMs);
    gone.add(victim);
    evicted.push(victim);
    leave(fill, victim, newcomer.priority);
  }
  return { expire: expired, evict: evicted, by, retryMs: retry(pool, evicted.length, declaredGapMs) };
}

function fillOf(pool: Pool, priority: Priority): Fill {
  return { total: waitingIn(pool), ofClass: pool.waiting[priority].size, tokens: pool.waitingTokens };
}

function fits({ settings }: Pool, newcomer: Newcomer, fill: Fill): boolean {
  const { capacity, classes, maxQueuedTokens } = settings;
  if (fill.total >= capacity) return false;
  if (fill.ofClass >= (classes[newcomer.priority].queueCapacity ?? Infinity)) return false;
  return fill.tokens + newcomer.outputTokens <= (maxQueuedTokens ?? Infinity);
}

function leave(fill: Fill, live: Live, priority: Priority): void {
  fill.total--;
  fill.tokens -= live.outputTokens;
  if (live.priority === priority) fill.ofClass--;
}

/** Soft preemption is what a queue that otherwise refuses does for more urgent work. */
function policyOf({ settings }: Pool, newcomer: Newcomer): FullPolicy | "preempted" {
  const soft = settings.preemption.mode !== "disabled" && settings.fullPolicy === "reject";
  return soft && rankOf(newcomer.priority) === 0 ? "preempted" : settings.fullPolicy;
}

function victimOf(
  pool: Pool,
  newcomer: Newcomer,
  by: RoomPlan["by"],
  fill: Fill,
  gone: ReadonlySet<Live>,
): Live | undefined {
  const classFull = fill.ofClass >= (pool.settings.classes[newcomer.priority].queueCapacity ?? Infinity);
  const { interactive, batch } = pool.waiting;
  switch (by) {
    case "reject":
      return undefined;
    case "drop-lru": {
      if (newcomer.outputTokens > (pool.settings.maxQueuedTokens ?? Infinity)) return undefined;
      if (classFull) return oldest(pool.waiting[newcomer.priority].items(), gone);
      return (
        oldest(batch.items(), gone) ??
        (newcomer.priority === "interactive" ? oldest(interactive.items(), gone) : undefined)
      );
    }
    case "shed-low-priority":
      return newcomer.priority === "interactive" && !classFull ? newest(batch, gone) : undefined;
    case "preempted": {
      const open = !pool.settings.preemption.protect.includes("batch");
      return open && !classFull ? newest(batch, gone) : undefined;
    }
    default:
      return by satisfies never;
  }
}

function oldest(lives: Iterable<Live>, gone: ReadonlySet<Live>): Live | undefined {
  for (const live of lives) if (!gone.has(live)) return live;
  return undefined;
}

function newest(lives: Fifo<Live>, gone: ReadonlySet<Live>): Live | undefined {
  for (const live of lives.newestFirst()) if (!gone.has(live)) return live;
  return undefined;
}

function full(pool: Pool, newcomer: Newcomer, fill: Fill, declaredGapMs: number): Refusal {
  const { capacity, fullPolicy } = pool.settings;
  const places = Math.max(1, fill.total - capacity + 1);
  const details = { policy_label: fullPolicy, retry_after_ms: retry(pool, places, declaredGapMs) };
  const message = `The queue of pool ${pool.id} is full (${waitingIn(pool)} of ${capacity} waiting) for ${newcomer.priority} tasks.`;
  return refuse(fullPolicy === "drop-lru" ? "QUEUE_FULL_DROP_LRU" : "ADMISSION_REJECT", message, details);
}

function retry(pool: Pool, places: number, declaredGapMs: number): number {
  return retryAfterMs(pool.drain, places, declaredGapMs);
}
