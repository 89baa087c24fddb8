// One line of the doctor's report.

export type Level = "ok" | "warn" | "bad";

export interface Finding {
  readonly check: string;
  readonly level: Level;
  readonly says: string;
  /** What to do about it; a finding that is not ok has one. */
  readonly todo?: string;
}
