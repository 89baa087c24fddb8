// Deadlines that pass while a task waits. A running attempt goes on past its deadline; a waiting one cannot
// win any more and makes room.

import { watchDeadlines } from "../queue/waiting.ts";
import type { Core, Live } from "../state.ts";
import { fail } from "./finish.ts";

export function expireDue(core: Core): void {
  const { state } = core;
  for (let live = state.deadlines.first(); live !== undefined; live = state.deadlines.first()) {
    if (live.deadlineAtMs > core.nowMs) break;
    expire(core, live);
  }
  watchDeadlines(core);
}

export function expire(core: Core, live: Live): void {
  const waitedMs = core.nowMs - live.submittedAtMs;
  const message = `The task waited ${waitedMs} ms and can no longer meet its deadline of ${live.task.deadlineMs} ms.`;
  fail(core, live, "DEADLINE_UNMET", message);
}
