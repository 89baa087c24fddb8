// `llorch pools`, `drain` and `reload`: what serves, and taking it out of service.

import type { PoolView } from "@llama-orch/contract";
import { UnreachableError } from "@llama-orch/sdk";
import { type Context, print, printTable } from "../context.ts";
import { Interrupted, Refusal } from "../failure.ts";
import { durationText } from "../print/quantity.ts";
import { safeText } from "../print/safe-text.ts";
import { StatusLine } from "../print/status-line.ts";
import type { Column } from "../print/table.ts";
import { paint, type Style } from "../terminal.ts";

const styles: Record<string, Style> = { ready: "green", draining: "yellow", "not ready": "red" };

export async function listPools(context: Context): Promise<void> {
  const list = await context.client().listPools();
  const { out } = context.terminal;
  const columns: Column<PoolView>[] = [
    { title: "POOL", of: ({ pool_id }) => pool_id },
    {
      title: "STATE",
      of: stateOf,
      paint: (text, pool) => paint(styles[stateOf(pool)] ?? "dim", text, out),
    },
    { title: "MODEL", of: ({ model_ref }) => model_ref },
    { title: "ENGINE", of: ({ engine }) => engine },
    { title: "ON", of: ({ compute, devices }) => [compute, ...devices].join(" ") },
    { title: "KIND", of: ({ determinism }) => determinism },
    {
      title: "REPLICAS",
      of: ({ replicas }) => `${replicas.filter(({ ready }) => ready).length}/${replicas.length}`,
    },
    {
      title: "FREE",
      of: ({ health }) => `${health.metrics.slots_free ?? "?"}/${health.metrics.slots_total ?? "?"}`,
    },
    { title: "WAITING", of: ({ health }) => health.metrics.queue_depth },
    ...(list.pools.some(({ health }) => health.last_error !== null)
      ? [{ title: "LAST ERROR", of: ({ health }: PoolView) => health.last_error ?? "" }]
      : []),
  ];
  print(context, list, () => {
    if (list.pools.length === 0)
      return "There are no pools. Configure one, or start the demo with `npm run up`.\n";
    return printTable(context, columns, list.pools);
  });
}

/** No engine lives between two starts either, and then there is something that went wrong. */
function stateOf({ health: { live, ready, draining, last_error: lastError } }: PoolView): string {
  if (draining) return "draining";
  if (ready) return "ready";
  return live || lastError !== null ? "not ready" : "stopped";
}

export async function drainPool(context: Context, id: string, deadlineMs: number): Promise<void> {
  await context.client().drainPool(id, { deadline_ms: deadlineMs });
  print(context, { pool_id: id }, () => {
    const within = durationText(deadlineMs);
    return `Pool ${safeText(id)} takes no more work; what still runs in ${within} goes on elsewhere.\n`;
  });
}

export async function reloadPool(
  context: Context,
  id: string,
  model: string,
  drainDeadlineMs: number | undefined,
): Promise<void> {
  const { terminal, json } = context;
  const status = new StatusLine(terminal.err);
  const leaving = new AbortController();
  const off = terminal.onInterrupt(() => leaving.abort(new Interrupted()));
  if (!json) status.show(`Pool ${id} drains, then loads ${model} …`);
  const wish = {
    new_model_ref: model,
    ...(drainDeadlineMs !== undefined && { drain_deadline_ms: drainDeadlineMs }),
  };
  try {
    const reply = await context.client().reloadPool(id, wish, { signal: leaving.signal });
    status.clear();
    print(context, reply, () => {
      const took = durationText(reply.duration_ms);
      return `Pool ${safeText(reply.pool_id)} serves ${safeText(reply.model_ref)} after ${took}.\n`;
    });
  } catch (error) {
    throw error instanceof UnreachableError && error.code !== "ECONNREFUSED" ? brokenOff(error, id) : error;
  } finally {
    status.clear();
    off();
  }
}

/** A reload is never sent twice, and what became of it only the pool knows. */
function brokenOff({ url }: UnreachableError, id: string): Refusal {
  return new Refusal(
    `The connection to ${url} broke off. If the reload had begun it goes on there: \`llorch pools\` shows which ` +
      `model ${id} serves.`,
  );
}
