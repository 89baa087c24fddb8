// Whether an attempt has been silent or busy for too long. Whoever sees the tokens asks, with the times it
// has.

import type { DispatchAttempt } from "../effects.ts";

export interface Watched {
  readonly startedAtMs: number;
  /** Undefined before the first token; skipped tokens count as well. */
  readonly lastTokenAtMs: number | undefined;
  readonly nowMs: number;
}

export type Overdue = "first_token" | "idle" | "wall";

export function overdue(
  { startedAtMs, lastTokenAtMs, nowMs }: Watched,
  limits: Pick<DispatchAttempt["limits"], "firstTokenMs" | "idleMs" | "wallMs">,
): Overdue | undefined {
  if (limits.wallMs !== null && nowMs - startedAtMs >= limits.wallMs) return "wall";
  if (lastTokenAtMs === undefined)
    return nowMs - startedAtMs >= limits.firstTokenMs ? "first_token" : undefined;
  return nowMs - lastTokenAtMs >= limits.idleMs ? "idle" : undefined;
}
