// Following a task: which position the reader comes back with, the headers of the answer, and the end of the
// reader when its connection ends. Frames, heartbeats and slow readers are streaming's business.

import type { ServerResponse } from "node:http";
import { OrchError, parseFrameId, type StreamPosition } from "@llama-orch/contract";
import { responseSink } from "../streaming/sse.ts";
import { type Exchange, type Handler, requireKnownForm } from "./exchange.ts";
import { budgetHeaders, sendNothing } from "./reply.ts";

export const streamTask: Handler = async (exchange, { application, streams }) => {
  const { wire, caller, id, query } = exchange;
  const verbose = verboseOf(query.verbose);
  const position = positionOf(exchange);
  if (position === "end") return sendNothing(wire);
  requireKnownForm(id, "task");
  const { stream, budget } = await application.follow(id, caller);
  const { response } = wire;
  if (response.destroyed) return;
  const correlation = ["X-Correlation-Id", wire.correlationId];
  const headers = [...budgetHeaders(budget), ...correlation, ...streamHeaders, ...wire.crossOrigin];
  setHeaders(response, headers);
  const sink = responseSink(response);
  const reader = refusable(response, headers, () => stream.follow(position, sink, { verbose }));
  streams.add(response);
  response.once("close", () => reader.close());
  // A task that still waits may have nothing to say yet, and the reader is to know that it is connected.
  if (!response.headersSent) response.flushHeaders();
};

/** They leave with the first frame, so that a refusal of the position can still be an answer of its own. */
function setHeaders(response: ServerResponse, headers: readonly string[]): void {
  response.statusCode = 200;
  for (let at = 0; at < headers.length; at += 2) {
    response.setHeader(headers[at] as string, headers[at + 1] as string);
  }
}

function refusable<T>(response: ServerResponse, headers: readonly string[], follow: () => T): T {
  try {
    return follow();
  } catch (error) {
    for (let at = 0; at < headers.length; at += 2) response.removeHeader(headers[at] as string);
    throw error;
  }
}

const streamHeaders = [
  "Content-Type",
  "text/event-stream",
  "Cache-Control",
  "no-cache",
  "X-Accel-Buffering",
  "no",
] as const;

/**
 * The header wins over the query: an EventSource that reconnects sends both, and the header is the newer. An
 * empty header is how an EventSource says that it has no id.
 */
function positionOf({ wire, query }: Exchange): StreamPosition | "end" | undefined {
  const id = wire.request.headers["last-event-id"];
  if (typeof id === "string" && id !== "") {
    const position = parseFrameId(id);
    if (position !== undefined) return position;
    throw invalid("Last-Event-ID", "the id of a frame, or its index");
  }
  const { from } = query;
  if (from === undefined || from === "0") return undefined;
  if (typeof from === "string" && /^[1-9]\d{0,9}$/.test(from)) return { index: Number(from) - 1 };
  throw invalid("from", "the index of the first token frame wanted, a whole number");
}

function verboseOf(verbose: unknown): boolean {
  if (verbose === undefined || verbose === "false") return false;
  if (verbose === "true") return true;
  throw invalid("verbose", "true or false");
}

function invalid(name: string, accepts: string): OrchError {
  return new OrchError("INVALID_PARAMS", `${name}: accepted: ${accepts}.`);
}
