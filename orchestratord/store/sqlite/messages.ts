// What goes between the store and the thread that writes for it: plain values, one message and one answer at
// a time.

import type { DiskTrouble } from "./disk-trouble.ts";
import type { Row } from "./rows.ts";

export interface WriterOptions {
  readonly folder: string;
  readonly reserveBytes: number;
  readonly pagesMax: number | undefined;
}

/** The facts of one call: all of them are written, or none. */
export interface Call {
  readonly rows: readonly Row[];
  /** The latest time in them. */
  readonly atMs: number;
  /**
   * It brings a new task, or nothing but the question whether one could be kept: both need the reserve. Or it
   * takes the reserve away.
   */
  readonly kind: "admits" | "keeps" | "asks" | "frees";
}

/** By the disk, or for what the call itself says: that is a bug of whoever made it, and its trouble alone. */
export type Refused = DiskTrouble | { readonly bug: string };

export interface SweepLimits {
  readonly nowMs: number;
  /** What ended before it goes. */
  readonly endedSinceMs: number;
  readonly endedMax: number;
}

export type Message =
  | { readonly kind: "group"; readonly calls: readonly Call[] }
  | { readonly kind: "sweep"; readonly limits: SweepLimits }
  | { readonly kind: "close" };

export type Reply =
  /** By the place of a call: why it was refused. The others are safe. */
  | { readonly kind: "written"; readonly refused: ReadonlyMap<number, Refused> }
  | { readonly kind: "swept"; readonly more: boolean }
  | { readonly kind: "unswept"; readonly trouble: DiskTrouble };
