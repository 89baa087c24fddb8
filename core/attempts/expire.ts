// Deadlines that pass while a task waits. A running attempt goes on past its deadline; a waiting one cannot
// win any more and makes room.

import { watchDeadline } from "../queue/waiting.ts";
import type { Core, Live } from "../state.ts";
import { fail } from "./finish.ts";

export function expireDue(core: Core): void {
  const { deadlines } = core.state;
  if (deadlines.earliestMs() > core.nowMs) return;
  for (let live = deadlines.first(); live !== undefined; live = deadlines.first()) {
    if (live.deadlineAtMs > core.nowMs) break;
    expire(core, live);
  }
}

/** The timer has fired: it waits for the next one. */
export function deadlineOver(core: Core): void {
  expireDue(core);
  const next = core.state.deadlines.first();
  if (next !== undefined) watchDeadline(core, next);
}

export function expire(core: Core, live: Live): void {
  const waitedMs = core.nowMs - live.submittedAtMs;
  const message = `The task waited ${waitedMs} ms and can no longer meet its deadline of ${live.task.deadlineMs} ms.`;
  fail(core, live, "DEADLINE_UNMET", message);
}
