// The read-only lists that the operator's tools need.

import { parseTaskQuery } from "@llama-orch/contract";
import { type Handler, requireKnownForm } from "./exchange.ts";
import { sendJson } from "./reply.ts";

export const listTasks: Handler = ({ wire, caller, query }, { application }) => {
  sendJson(wire, 200, JSON.stringify(application.tasks(parseTaskQuery({ ...query }), caller)));
};

export const getTask: Handler = ({ wire, caller, id }, { application }) => {
  requireKnownForm(id, "task");
  sendJson(wire, 200, JSON.stringify(application.task(id, caller)));
};

export const listPools: Handler = ({ wire }, { application }) => {
  sendJson(wire, 200, JSON.stringify(application.pools()));
};
