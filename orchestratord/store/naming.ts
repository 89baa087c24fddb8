// What a task's name stands for: its newest use, as long as somebody may ask for it. Here is the rule alone;
// where the tasks lie is each store's own affair.

import type { Remembered } from "@llama-orch/core";
import type { EndedTask } from "./store.ts";

/** What is kept of a task by its name. */
export interface NamedTask extends Remembered {
  /** Absent while it is not over. */
  readonly ended?: EndedTask;
}

export interface Keeping {
  readonly nowMs: () => number;
  /** How long an ended task's transcript can be found by the task's name. */
  readonly keepEndedMs: number;
  /** How long after its end a task's first answer is given again. */
  readonly rememberMs: number;
}

/** Beyond it the longest ended go first. */
export const endedMaxDefault = 100_000;

/** The newest task of that name that is kept, of one tenant or of any. */
type Newest = (tenantId: string | undefined) => NamedTask | undefined;

export function rememberedBy(
  newest: Newest,
  tenantId: string | undefined,
  keeping: Keeping,
): Remembered | undefined {
  return meant(tenantId, (of) => {
    const task = newest(of);
    if (task === undefined || isOver(task.ended, keeping.rememberMs, keeping)) return undefined;
    const { fingerprint, answer } = task;
    return { fingerprint, answer };
  });
}

export function transcriptBy(
  newest: Newest,
  tenantId: string | undefined,
  keeping: Keeping,
): EndedTask | undefined {
  return meant(tenantId, (of) => {
    const ended = newest(of)?.ended;
    return isOver(ended, keeping.keepEndedMs, keeping) ? undefined : ended;
  });
}

/** What ended before this is asked for by nobody. */
export function keptSinceMs({ keepEndedMs, rememberMs }: Keeping, nowMs: number): number {
  return nowMs - Math.max(keepEndedMs, rememberMs);
}

function meant<T>(tenantId: string | undefined, find: (tenantId: string | undefined) => T | undefined) {
  return tenantId === undefined ? (find("default") ?? find(undefined)) : find(tenantId);
}

const isOver = (ended: EndedTask | undefined, forMs: number, { nowMs }: Keeping): boolean =>
  ended !== undefined && nowMs() - ended.atMs > forMs;
