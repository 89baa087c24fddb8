// Asking for a session and forgetting it.

import { accepted, OrchError, SessionId } from "@llama-orch/contract";
import { type Handler, isSafeId } from "./exchange.ts";
import { sendJson, sendNothing } from "./reply.ts";

export const getSession: Handler = ({ wire, caller, id }, { application }) => {
  if (!isSafeId(id)) {
    throw new OrchError("INVALID_PARAMS", `session_id: accepted: ${accepted({ ...SessionId })}.`);
  }
  sendJson(wire, 200, JSON.stringify(application.session(id, caller)));
};

/** An id of a wrong form was never a session, and so is gone. */
export const deleteSession: Handler = async ({ wire, caller, id }, { application }) => {
  if (isSafeId(id)) await application.deleteSession(id, caller);
  sendNothing(wire);
};
