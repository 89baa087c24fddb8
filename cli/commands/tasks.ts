// `llorch tasks` and `llorch cancel`: what is there, and ending one of it.

import type { TaskQuery, TaskView } from "@llama-orch/contract";
import { type Context, print, printTable } from "../context.ts";
import { durationText } from "../print/quantity.ts";
import { safeText } from "../print/safe-text.ts";
import type { Column } from "../print/table.ts";
import { paint, type Style } from "../terminal.ts";

const styles: Partial<Record<TaskView["state"], Style>> = {
  running: "green",
  failed: "red",
  canceled: "yellow",
};

export async function listTasks(context: Context, query: TaskQuery): Promise<void> {
  const list = await context.client().listTasks(query);
  const { out } = context.terminal;
  const nowMs = Date.now();
  const columns: Column<TaskView>[] = [
    { title: "TASK", of: ({ task_id }) => task_id },
    {
      title: "STATE",
      of: ({ state, code }) => (code === undefined ? state : `${state} ${code}`),
      paint: (text, { state }) => (styles[state] ? paint(styles[state], text, out) : text),
    },
    { title: "PRIORITY", of: ({ priority }) => priority },
    { title: "MODEL", of: ({ model_ref }) => model_ref },
    { title: "WHERE", of: whereOf },
    { title: "TOKENS", of: ({ tokens_out }) => tokens_out },
    { title: "AGE", of: ({ submitted_at_ms }) => durationText(Math.max(0, nowMs - submitted_at_ms)) },
    { title: "TOOK", of: (task) => tookOf(task, nowMs) },
  ];
  print(context, list, () => {
    if (list.tasks.length === 0) return "There are no tasks.\n";
    const more = list.next_cursor;
    const rest = more === undefined ? "" : `More: llorch tasks --cursor ${safeText(more)}\n`;
    return printTable(context, columns, list.tasks) + rest;
  });
}

function whereOf({ state, pool_id, replica_id, queue_position, predicted_start_ms }: TaskView): string {
  if (state === "waiting" && queue_position !== null) {
    const start = predicted_start_ms === null ? "" : `, in ${durationText(predicted_start_ms)}`;
    return `${queue_position} ahead${start}`;
  }
  if (pool_id === null) return "-";
  return replica_id === null ? pool_id : `${pool_id}/${replica_id}`;
}

function tookOf({ started_at_ms, ended_at_ms }: TaskView, nowMs: number): string {
  return started_at_ms === null ? "-" : durationText(Math.max(0, (ended_at_ms ?? nowMs) - started_at_ms));
}

/** The server answers the same whether there was such a task or not, so it is asked for first. */
export async function cancelTask(context: Context, id: string): Promise<void> {
  const client = context.client();
  const { state } = await client.getTask(id);
  await client.cancelTask(id);
  const isOver = state !== "waiting" && state !== "running";
  print(context, { task_id: id }, () =>
    isOver ? `Task ${safeText(id)} was over before: ${state}.\n` : `Task ${safeText(id)} is cancelled.\n`,
  );
}
