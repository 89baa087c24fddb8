// The time a task is kept for its last reader to come back.

import type { Core, Live } from "../state.ts";

export const graceTimer = (jobId: string): string => `grace ${jobId}`;

export function startGrace(core: Core, live: Live, graceMs: number): void {
  live.grace = true;
  core.emit({ type: "SetTimer", timer: graceTimer(live.jobId), atMs: core.nowMs + graceMs });
}

export function clearGrace(core: Core, live: Live): void {
  if (!live.grace) return;
  live.grace = false;
  core.emit({ type: "ClearTimer", timer: graceTimer(live.jobId) });
}
