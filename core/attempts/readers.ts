// Readers of a stream. When the last reader of a task goes away a grace begins; if nobody comes back within
// it, the task is cancelled, since nobody is left to read it. A task that nobody ever read runs to its end.

import { limits } from "../limits.ts";
import type { Core, Live } from "../state.ts";
import { cancel } from "./cancel.ts";
import { clearGrace, startGrace } from "./grace.ts";

export const unseenTimer = "unseen";

export function readersChanged(core: Core, live: Live, readers: number): void {
  // It is we who cut them: they may come back to the next process.
  if (core.state.stopping && readers < live.readers) return;
  const { disconnectGraceMs, cancelOnDisconnect } = core.state.settings.stream;
  if (readers > 0) clearGrace(core, live);
  const left = live.readers > 0 && readers === 0;
  live.readers = readers;
  if (!left || !cancelOnDisconnect) return;
  if (disconnectGraceMs === 0) return cancel(core, live, "disconnect");
  startGrace(core, live, disconnectGraceMs);
}

/**
 * Readers lost their connections with the process; they get longer to come back than after a cut line. Sets
 * that are known by name alone get as long as a replica may take to come up.
 */
export function restarted(core: Core): void {
  if ([...core.state.sets.values()].some(({ unseen }) => unseen)) {
    core.emit({ type: "SetTimer", timer: unseenTimer, atMs: core.nowMs + limits.startingReplicaMs });
  }
  const { disconnectGraceMs, cancelOnDisconnect } = core.state.settings.stream;
  core.state.stopping = false;
  for (const live of core.state.jobs.values()) {
    if (live.over || (live.readers === 0 && !live.grace)) continue;
    live.readers = 0;
    if (cancelOnDisconnect) startGrace(core, live, Math.max(disconnectGraceMs, limits.graceAfterRestartMs));
  }
}

export function graceOver(core: Core, live: Live): void {
  if (!live.grace || live.over || core.state.stopping) return;
  live.grace = false;
  cancel(core, live, "disconnect");
}
