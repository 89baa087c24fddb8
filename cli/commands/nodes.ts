// `llorch nodes`: the machines of a cluster. At home there is no list, which is said and not shown as an
// empty one.

import type { NodeRecord } from "@llama-orch/contract";
import { OrchError } from "@llama-orch/sdk";
import { type Context, print, printTable } from "../context.ts";
import { Refusal } from "../failure.ts";
import { bytesText, durationText } from "../print/quantity.ts";
import type { Column } from "../print/table.ts";
import { paint, type Style } from "../terminal.ts";

const styles: Partial<Record<NodeRecord["status"], Style>> = {
  Online: "green",
  Draining: "yellow",
  Offline: "red",
  Failed: "red",
};

export async function listNodes(context: Context): Promise<void> {
  const list = await context.client().listNodes().catch(explain);
  const { out } = context.terminal;
  const nowMs = Date.now();
  const columns: Column<NodeRecord>[] = [
    { title: "NODE", of: ({ node_id }) => node_id },
    {
      title: "STATUS",
      of: ({ status }) => status,
      paint: (text, { status }) => (styles[status] ? paint(styles[status], text, out) : text),
    },
    { title: "ADDRESS", of: ({ address }) => address },
    { title: "POOLS", of: ({ pools }) => pools.join(" ") },
    { title: "GPUS", of: gpusOf },
    { title: "HEARD", of: ({ last_heartbeat_ms: ms }) => `${durationText(Math.max(0, nowMs - ms))} ago` },
  ];
  print(context, list, () =>
    list.nodes.length === 0 ? "No node has registered yet.\n" : printTable(context, columns, list.nodes),
  );
}

function gpusOf({ capabilities: { gpus = [] } }: NodeRecord): string {
  if (gpus.length === 0) return "-";
  return gpus.map(({ name, vram_total_bytes }) => `${name} ${bytesText(vram_total_bytes)}`).join(", ");
}

function explain(error: unknown): never {
  if (!(error instanceof OrchError) || error.code !== "CLOUD_DISABLED") throw error;
  throw new Refusal(
    "The cloud profile is off, so there are no nodes to list; `llorch pools` shows what this machine serves. " +
      "To join several machines, start orchestratord with ORCHESTRATORD_CLOUD_PROFILE=true.",
  );
}
