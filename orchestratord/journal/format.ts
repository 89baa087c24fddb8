// What a journal is on the disk: files of lines, each line JSON. The first line of every file is a header
// with the whole state of the core, so that a file replays by itself; each other line is an event with what
// was decided on it. Prompts and texts are in no event, and so in no journal.

import type { Effect, Event, Settings, Snapshot } from "@llama-orch/core";

export const formatVersion = 1;

export interface Header {
  readonly journal: typeof formatVersion;
  /** Of the daemon that wrote it. */
  readonly version: string;
  /** Of the core that decided; see `core-version.ts`. */
  readonly core: string;
  readonly seed: number;
  /** When the file was begun. */
  readonly startedAtMs: number;
  /** The last event before the state below; 0 at the start of a daemon. What lies between files is a gap. */
  readonly afterSeq: number;
  readonly settings: Settings;
  readonly snapshot: Snapshot;
}

/** The core refused to go on: a bug, which a replay has to meet again. */
export interface Threw {
  readonly threw: string;
}

export type Decided = readonly Effect[] | Threw;

export interface Entry {
  readonly event: Event;
  readonly effects?: readonly Effect[];
  readonly threw?: string;
}

/** The snapshot is JSON already: it may be large, and is not parsed to be written again. */
export interface Unwritten extends Omit<Header, "snapshot"> {
  readonly snapshot: string;
}

export function headerLine({ snapshot, ...rest }: Unwritten): string {
  return `${JSON.stringify(rest).slice(0, -1)},"snapshot":${snapshot}}\n`;
}

export function entryLine(event: Event, decided: Decided): string {
  const entry: Entry = "threw" in decided ? { event, threw: decided.threw } : { event, effects: decided };
  return `${JSON.stringify(entry)}\n`;
}

/** As it is written down, and compared. */
export const threwBy = (error: unknown): Threw => ({ threw: String(error) });

const suffix = ".jsonl";

export const fileName = (number: number): string => `${String(number).padStart(10, "0")}${suffix}`;

/** Undefined for what is no file of a journal. */
export function numberOf(name: string): number | undefined {
  return /^\d{10}\.jsonl$/.test(name) ? Number(name.slice(0, -suffix.length)) : undefined;
}
