// The operator's lists of tasks, with where each waiting one stands now.

import { OrchError, type TaskList, type TaskQuery, type TaskView } from "@llama-orch/contract";
import type { Orchestrator } from "@llama-orch/core";
import type { Caller } from "./application.ts";
import { type Row, type Standing, type Tasks, viewOf } from "./tasks.ts";

export interface TaskViews {
  tasks(query: TaskQuery, caller: Caller): TaskList;
  task(taskId: string, caller: Caller): TaskView;
}

export function taskViews(core: Orchestrator, tasks: Tasks): TaskViews {
  return {
    tasks(query, { tenantId }) {
      const { rows, next } = tasks.page(query, tenantId);
      const standings = standingsOf(core, rows);
      const views = rows.map((record) => viewOf(record, standings.get(record.jobId)));
      return { tasks: views, ...(next !== undefined && { next_cursor: next }) };
    },
    task(taskId, { tenantId }) {
      const known = tenantId === undefined ? tasks.findAny(taskId) : tasks.find(tenantId, taskId);
      const record = known ?? tasks.past(tenantId, taskId);
      if (record === undefined) {
        throw new OrchError("NOT_FOUND", `There is no task ${taskId}; GET /v2/tasks lists them.`);
      }
      return viewOf(record, standingsOf(core, [record]).get(record.jobId));
    },
  };
}

/** One walk over each queue that a waiting row stands in. */
function standingsOf(core: Orchestrator, rows: readonly Row[]): Map<string, Standing> {
  const wanted = new Set(rows.filter(({ state }) => state === "waiting").map(({ jobId }) => jobId));
  const setIds = new Set([...wanted].map((jobId) => core.state.jobs.get(jobId)?.setId));
  const standings = new Map<string, Standing>();
  for (const setId of setIds) {
    if (setId === undefined) continue;
    for (const { jobId, position, predictedStartMs } of core.waiting(setId)) {
      if (wanted.has(jobId)) standings.set(jobId, { position, predictedStartMs });
    }
  }
  return standings;
}
