// The control of pools: how one is, draining it, and giving it another model.

import { type PoolHealth, parseDrainRequest, parseReloadRequest } from "@llama-orch/contract";
import { readBody } from "./body.ts";
import { type Handler, isSafeId, requireKnownForm } from "./exchange.ts";
import { sendJson } from "./reply.ts";

/** Polling needs no special case for a pool that is not there. */
const unknownPool: PoolHealth = {
  live: false,
  ready: false,
  draining: false,
  metrics: { queue_depth: 0 },
  last_error: null,
};

export const getPoolHealth: Handler = ({ wire, id }, { application }) => {
  sendJson(wire, 200, JSON.stringify(isSafeId(id) ? application.poolHealth(id) : unknownPool));
};

export const drainPool: Handler = async ({ wire, caller, id }, { application }, limitBytes) => {
  const { value } = await readBody(wire.request, limitBytes, wire.held);
  const { deadline_ms: deadlineMs } = parseDrainRequest(value);
  requireKnownForm(id, "pool");
  await application.drain(id, deadlineMs, caller);
  sendJson(wire, 202, "{}");
};

export const reloadPool: Handler = async ({ wire, caller, id }, { application }, limitBytes) => {
  const { value } = await readBody(wire.request, limitBytes, wire.held);
  const request = parseReloadRequest(value);
  requireKnownForm(id, "pool");
  sendJson(wire, 200, JSON.stringify(await application.reload(id, request, caller)));
};
