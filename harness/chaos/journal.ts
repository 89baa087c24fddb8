// What the daemon wrote down of its decisions, over all of its lives, decided again by the core of now:
// kills, full disks and wrong clocks may tear a last line or leave a gap, and must not make one decision
// differ.

import { readJournal } from "@llama-orch/orchestratord/journal/read";
import { type Replayed, replay } from "@llama-orch/orchestratord/journal/replay";
import type { Violation } from "./outcomes.ts";

export interface Retold {
  readonly events: number;
  readonly gaps: number;
  readonly violations: readonly Violation[];
}

/** @param folder of a journal that nobody writes any more */
export async function retold(folder: string): Promise<Retold> {
  try {
    const replayed = await replay(readJournal(folder));
    return { events: replayed.events, gaps: replayed.gaps.length, violations: differenceIn(replayed) };
  } catch (error) {
    return { events: 0, gaps: 0, violations: [wrong(String(error))] };
  }
}

function differenceIn({ events, difference }: Replayed): Violation[] {
  if (events === 0) return [wrong("The journal has no events.")];
  if (difference === undefined) return [];
  const { file, line, event, differs } = difference;
  return [wrong(`Line ${line} of ${file} (${event.type}) is decided differently now: ${differs.join("; ")}`)];
}

const wrong = (message: string): Violation => ({ verdict: "wrong", message });
