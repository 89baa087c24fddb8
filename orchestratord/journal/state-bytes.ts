// How large the state of a core is when it is written down, told without writing it down: that would stop the
// daemon for longer the larger it is.

import type { Orchestrator } from "@llama-orch/core";

/** Measured, and rounded up: names are rarely longer than ids that are drawn. */
const each = { task: 1600, ended: 320, session: 320, client: 200 } as const;

export function stateBytes({ jobs, ended, sessions, rateBuckets }: Orchestrator["state"]): number {
  return (
    jobs.size * each.task +
    ended.size * each.ended +
    sessions.size * each.session +
    rateBuckets.size * each.client
  );
}
