// A session's cache is warm on the replica that served it last. It is preferred while it can take the task,
// on best-effort pools only: strict pools keep no cache, since a warm one could change a result.

import { findSession } from "../sessions.ts";
import type { Live, ReplicaSet, State } from "../state.ts";

export function affinityOf(state: State, nowMs: number, set: ReplicaSet, live: Live): string | undefined {
  if (set.key.determinism === "strict" || live.task.kvHint === "cold") return undefined;
  return findSession(state, nowMs, live.task)?.lastReplica;
}
