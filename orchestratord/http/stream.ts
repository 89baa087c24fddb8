// Following a task: which position the reader comes back with, the headers of the answer, and the end of the
// reader when its connection ends. Frames, heartbeats and slow readers are streaming's business.

import type { ServerResponse } from "node:http";
import { OrchError, parseFrameId, type StreamPosition } from "@llama-orch/contract";
import { responseSink } from "../streaming/sse.ts";
import { type Exchange, type Handler, requireKnownForm } from "./exchange.ts";
import { budgetHeaders, sendNothing, type Wire } from "./reply.ts";

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
  const sink = responseSink(response);
  const follow = () => stream.follow(position, sink, { verbose });
  const reader =
    position === undefined ? begun(response, headers, follow) : refusable(response, headers, follow);
  streams.add(response, reader);
  forgetHead(wire);
};

/** Node keeps no copy of headers that it is given like this. */
function begun<T>(response: ServerResponse, headers: string[], follow: () => T): T {
  response.writeHead(200, headers);
  return follow();
}

/** They leave with the first frame, so that a refusal of the position can still be an answer of its own. */
function refusable<T>(response: ServerResponse, headers: readonly string[], follow: () => T): T {
  response.statusCode = 200;
  for (let at = 0; at < headers.length; at += 2) {
    response.setHeader(headers[at] as string, headers[at + 1] as string);
  }
  try {
    return follow();
  } catch (error) {
    for (let at = 0; at < headers.length; at += 2) response.removeHeader(headers[at] as string);
    throw error;
  }
}

/** What Node keeps of the head of an answer. */
type Headed = ServerResponse & { _header: string; readonly _headerSent: boolean };

/**
 * A stream lasts, and nobody asks for these again: of the head that was sent, which Node keeps in dozens of
 * pieces, only whether there was one. Together 1.5 KiB of each stream, and more of a browser's.
 */
function forgetHead({ request, response }: Wire): void {
  const headed = response as Headed;
  // A task that still waits may have nothing to say yet, and the reader is to know that it is connected.
  if (!headed._headerSent) response.flushHeaders();
  headed._header = "sent";
  request.headers = {};
  request.rawHeaders = [];
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
