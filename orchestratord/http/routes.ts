// Which handler answers which row of the contract's route table. A row without a handler is not served, and a
// handler without a row cannot be written down here.

import { faces, type Route } from "@llama-orch/contract";
import { createArtifact, getArtifact } from "./artifacts.ts";
import { getCapabilities } from "./capabilities.ts";
import type { Handler } from "./exchange.ts";
import { getTask, listPools, listTasks } from "./lists.ts";
import { getMetrics } from "./metrics.ts";
import { cloudDisabled } from "./nodes.ts";
import { drainPool, getPoolHealth, reloadPool } from "./pools.ts";
import { deleteSession, getSession } from "./sessions.ts";
import { streamTask } from "./stream.ts";
import { cancelTask, createTask } from "./tasks.ts";

export interface ServedRoute {
  readonly row: Route;
  readonly handler: Handler;
}

/** By the id of their row. */
const handlers = (): Readonly<Record<string, Handler>> => ({
  createTask,
  streamTask,
  cancelTask,
  getSession,
  deleteSession,
  createArtifact,
  getArtifact,
  getCapabilities: getCapabilities(),
  getPoolHealth,
  drainPool,
  reloadPool,
  getMetrics,
  listTasks,
  getTask,
  listPools,
  registerNode: cloudDisabled,
  heartbeatNode: cloudDisabled,
  deregisterNode: cloudDisabled,
  listNodes: cloudDisabled,
});

export function servedRoutes(): readonly ServedRoute[] {
  const table = handlers();
  const rows: readonly Route[] = [...faces.orchqueue.routes, ...faces.operator.routes];
  return rows.flatMap((row) => {
    const handler = table[row.id];
    return handler === undefined ? [] : [{ row, handler }];
  });
}

/** What the extra metrics port serves. */
export const metricsRoutes = (): readonly ServedRoute[] =>
  servedRoutes().filter(({ row }) => row.id === "getMetrics");

/** Finds the methods that a path has, for answers to a method it does not have. */
export function methodsByPath(routes: readonly ServedRoute[]): (path: string) => readonly string[] {
  const forms = new Map<string, { form: RegExp; methods: string[] }>();
  for (const { row } of routes) {
    const form = new RegExp(`^${row.path.replaceAll(/\{\w+\}/g, "[^/]+")}$`);
    const known = forms.get(row.path) ?? { form, methods: [] };
    known.methods.push(row.method);
    forms.set(row.path, known);
  }
  return (path) => {
    const fitting = [...forms.values()].filter(({ form }) => form.test(path));
    return [...new Set(fitting.flatMap(({ methods }) => methods))];
  };
}
