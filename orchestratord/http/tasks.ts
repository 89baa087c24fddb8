// Handing in and cancelling tasks.

import { OrchError, parseTaskRequest, type TaskRequest } from "@llama-orch/contract";
import type { Admitted } from "../application.ts";
import { readBody } from "./body.ts";
import { type Handler, isSafeId } from "./exchange.ts";
import { budgetHeaders, internalError, sendJson, sendNothing } from "./reply.ts";

export const createTask: Handler = async ({ wire, caller }, { application }, limitBytes) => {
  using body = await readBody(wire.request, limitBytes, wire.held);
  const request = parseTaskRequest(body.value);
  const admitted = await application.submit(request, body.bytes, caller).catch(withEngine(request));
  sendJson(wire, 202, admissionText(admitted), budgetHeaders(admitted.budget));
};

/** Errors about a task name its engine, a fault of ours too. */
function withEngine({ engine }: TaskRequest): (error: unknown) => never {
  return (error) => {
    throw error instanceof OrchError ? error : internalError(error, { engine });
  };
}

/** An id of a task is safe in a path as it is. */
function admissionText({ taskId, answer }: Admitted): string {
  const sse = `/v1/tasks/${taskId}/stream`;
  return JSON.stringify({
    task_id: taskId,
    job_id: answer.jobId,
    queue_position: answer.queuePosition,
    predicted_start_ms: answer.predictedStartMs,
    backoff_ms: 0,
    streams: { sse, sse_verbose: `${sse}?verbose=true` },
    preparation: { steps: answer.preparation },
  });
}

/** What was never a task is as good as cancelled. */
export const cancelTask: Handler = async ({ wire, caller, id }, { application }) => {
  if (isSafeId(id)) await application.cancel(id, caller);
  sendNothing(wire);
};
