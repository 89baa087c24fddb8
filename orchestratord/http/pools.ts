// The control of pools: how one is, draining it, and giving it another model.

import { parseDrainRequest, parseReloadRequest } from "@llama-orch/contract";
import { readBody } from "./body.ts";
import { type Handler, requireKnownForm } from "./exchange.ts";
import { sendJson } from "./reply.ts";

export const getPoolHealth: Handler = ({ wire, id }, { application }) => {
  sendJson(wire, 200, JSON.stringify(application.poolHealth(id)));
};

export const drainPool: Handler = async ({ wire, caller, id }, { application }, limitBytes) => {
  using body = await readBody(wire.request, limitBytes, wire.held);
  const { deadline_ms: deadlineMs } = parseDrainRequest(body.value);
  requireKnownForm(id, "pool");
  await application.drain(id, deadlineMs, caller);
  sendJson(wire, 202, "{}");
};

export const reloadPool: Handler = async ({ wire, caller, id }, { application }, limitBytes) => {
  using body = await readBody(wire.request, limitBytes, wire.held);
  const request = parseReloadRequest(body.value);
  requireKnownForm(id, "pool");
  sendJson(wire, 200, JSON.stringify(await application.reload(id, request, caller)));
};
