// Decides again what a journal says was decided, with the core of today, and stops where that differs for the
// first time: everything later follows from it. It reads no disk and no clock.

import { isDeepStrictEqual } from "node:util";
import { type Event, Orchestrator } from "@llama-orch/core";
import { differences } from "./differences.ts";
import { type Decided, type Entry, type Header, threwBy } from "./format.ts";
import { type JournalItem, UnreadableJournal } from "./read.ts";

export interface Replayed {
  readonly files: number;
  readonly events: number;
  readonly effects: number;
  /** Of the first and the last event; absent where there is none. */
  readonly fromMs?: number;
  readonly toMs?: number;
  /** Of the daemons and cores that wrote it, each once. */
  readonly versions: readonly string[];
  readonly cores: readonly string[];
  readonly gaps: readonly Gap[];
  readonly torn: readonly { readonly file: string; readonly line: number }[];
  /** Absent where today's core decides all of it the same. */
  readonly difference?: Difference;
}

/** Events that were not written down; the file begins with the state after them. */
export interface Gap {
  readonly file: string;
  readonly fromSeq: number;
  readonly toSeq: number;
}

export interface Difference {
  readonly file: string;
  readonly line: number;
  readonly seq: number;
  readonly nowMs: number;
  readonly event: Event;
  readonly recorded: Decided;
  readonly today: Decided;
  /** What differs, a line each. */
  readonly differs: readonly string[];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Progress extends Mutable<Omit<Replayed, "versions" | "cores" | "gaps" | "torn">> {
  readonly versions: Set<string>;
  readonly cores: Set<string>;
  readonly gaps: Gap[];
  readonly torn: { file: string; line: number }[];
}

/** @throws UnreadableJournal */
export async function replay(
  items: AsyncIterable<JournalItem> | Iterable<JournalItem>,
  onEvents: (events: number) => void = () => {},
): Promise<Replayed> {
  const progress: Progress = {
    files: 0,
    events: 0,
    effects: 0,
    versions: new Set(),
    cores: new Set(),
    gaps: [],
    torn: [],
  };
  let core: Orchestrator | undefined;
  let last: Place | undefined;
  for await (const item of items) {
    if (item.kind === "torn") {
      progress.torn.push({ file: item.file, line: item.line });
    } else if (item.kind === "header") {
      core = restored(item.file, item.header);
      last = begun(progress, item.file, item.header, last);
    } else {
      last = following(item.file, item.line, item.entry, last as Place);
      const difference = decideAgain(core as Orchestrator, item.entry);
      progress.events++;
      if ("effects" in item.entry) progress.effects += item.entry.effects?.length ?? 0;
      progress.fromMs ??= item.entry.event.nowMs;
      progress.toMs = item.entry.event.nowMs;
      if (difference !== undefined) {
        progress.difference = { file: item.file, line: item.line, ...difference };
        break;
      }
      if (progress.events % eventsPerNews === 0) onEvents(progress.events);
    }
  }
  return { ...progress, versions: [...progress.versions], cores: [...progress.cores] };
}

const eventsPerNews = 10_000;

function restored(file: string, { snapshot, core }: Header): Orchestrator {
  try {
    return Orchestrator.restore(snapshot);
  } catch (cause) {
    throw new UnreadableJournal(
      `Today's core cannot take over the state in ${file} (${cause}). Replay it with core ${core}.`,
      { cause },
    );
  }
}

/** The last event before something, and the run of a daemon that counted it. */
interface Place {
  readonly seq: number;
  readonly seed: number;
}

function begun(progress: Progress, file: string, header: Header, last: Place | undefined): Place {
  const { version, core, seed, afterSeq } = header;
  progress.files++;
  progress.versions.add(version);
  progress.cores.add(core);
  // A daemon counts from 1; how the one before it ended is not known. Before the first file all is forgotten.
  const fromSeq = last?.seed === seed && afterSeq > 0 ? last.seq + 1 : 1;
  if (last !== undefined && fromSeq <= afterSeq) progress.gaps.push({ file, fromSeq, toSeq: afterSeq });
  return { seq: afterSeq, seed };
}

function following(file: string, line: number, { event }: Entry, { seq, seed }: Place): Place {
  if (event.seq === seq + 1) return { seq: event.seq, seed };
  throw new UnreadableJournal(
    `Line ${line} of ${file} has event ${event.seq} where ${seq + 1} belongs: the file has a hole.`,
  );
}

function decideAgain(core: Orchestrator, { event, effects, threw }: Entry) {
  const recorded: Decided = threw === undefined ? (effects ?? []) : { threw };
  const today = decisionOf(core, event);
  if (isDeepStrictEqual(today, recorded)) return undefined;
  const { seq, nowMs } = event;
  return { seq, nowMs, event, recorded, today, differs: differences(recorded, today) };
}

/** As it would have been written down: fields that are undefined are not there. */
function decisionOf(core: Orchestrator, event: Event): Decided {
  try {
    return JSON.parse(JSON.stringify(core.handle(event))) as Decided;
  } catch (error) {
    return threwBy(error);
  }
}
