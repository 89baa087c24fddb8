// Room in a full queue, as its one policy says. Nothing is changed here: what comes out is a plan, which
// waiting tasks would have to go, or the refusal of the newcomer.

import type { FullPolicy, Priority } from "@llama-orch/contract";
import type { Lack } from "../estimate/room.ts";
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

/**
 * @param hopeless waiting tasks that can no longer meet their deadline; they go before anyone else.
 * @param roomInMs when so many will have left; asked only where someone is sent away.
 */
export function planRoom(
  pool: Pool,
  newcomer: Newcomer,
  hopeless: () => Iterable<Live>,
  roomInMs: (lack: Lack) => number,
): RoomPlan | Refusal {
  const { settings } = pool;
  const fill = fillOf(pool, newcomer.priority);
  if (pool.waitingBodyBytes + newcomer.bodyBytes > settings.maxBodyBytes) {
    const message = `Pool ${pool.id} holds as many bytes of waiting prompts as it may.`;
    return refuse("ADMISSION_REJECT", message, {
      policy_label: "quota",
      retry_after_ms: roomInMs(lackOf(pool, newcomer, fill)),
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
    if (victim === undefined) return full(pool, newcomer, roomInMs(lackOf(pool, newcomer, fill)));
    gone.add(victim);
    evicted.push(victim);
    leave(fill, victim, newcomer.priority);
  }
  const retryMs = evicted.length === 0 ? 0 : roomInMs({ any: evicted.length, ofClass: 0 });
  return { expire: expired, evict: evicted, by, retryMs };
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

/** Tokens and bytes leave with the tasks that have them; the tasks are taken as equally large. */
function lackOf({ settings, waitingBodyBytes }: Pool, newcomer: Newcomer, fill: Fill): Lack {
  const { capacity, classes, maxQueuedTokens, maxBodyBytes } = settings;
  const tokensOver = fill.tokens + newcomer.outputTokens - (maxQueuedTokens ?? Infinity);
  const bytesOver = waitingBodyBytes + newcomer.bodyBytes - maxBodyBytes;
  const placesOf = (over: number, held: number) =>
    over <= 0 ? 0 : Math.ceil((over * fill.total) / held) || 1;
  return {
    any: Math.max(
      fill.total - capacity + 1,
      placesOf(tokensOver, fill.tokens),
      placesOf(bytesOver, waitingBodyBytes),
    ),
    ofClass: fill.ofClass - (classes[newcomer.priority].queueCapacity ?? Infinity) + 1,
  };
}

function full(pool: Pool, newcomer: Newcomer, roomInMs: number): Refusal {
  const { capacity, fullPolicy } = pool.settings;
  const details = { policy_label: fullPolicy, retry_after_ms: roomInMs };
  const message = `The queue of pool ${pool.id} is full (${waitingIn(pool)} of ${capacity} waiting) for ${newcomer.priority} tasks.`;
  return refuse(fullPolicy === "drop-lru" ? "QUEUE_FULL_DROP_LRU" : "ADMISSION_REJECT", message, details);
}
