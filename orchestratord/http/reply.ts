// The one place where answers are written: statuses, the error envelope, and the headers that carry meaning.
// It decides nothing; what an error is called and which status it has stands in the contract's table.

import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { OrchError } from "@llama-orch/contract";
import type { BudgetView } from "@llama-orch/core";
import type { Discarding } from "./discarding.ts";
import type { Held } from "./held.ts";

/** Where an answer goes, and what every answer of this request carries. */
export interface Wire {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly correlationId: string;
  /** CORS headers, names and values in turn; empty for most. */
  readonly crossOrigin: readonly string[];
  readonly held: Held;
  readonly discarding: Discarding;
}

export const jsonType = "application/json";
const noHeaders: readonly string[] = [];

export function sendJson(wire: Wire, status: number, body: string, headers = noHeaders): void {
  sendText(wire, status, jsonType, body, headers);
}

export function sendText(wire: Wire, status: number, type: string, body: string, headers = noHeaders): void {
  const { request, response, correlationId, crossOrigin } = wire;
  const bytes = Buffer.byteLength(body);
  const head = ["Content-Type", type, "Content-Length", String(bytes), "X-Correlation-Id", correlationId];
  if (headers.length > 0) head.push(...headers);
  if (crossOrigin.length > 0) head.push(...crossOrigin);
  response.writeHead(status, head);
  response.end(body);
  if (response.writableLength > 0) wire.held.untilTaken(response, bytes);
  wire.discarding.rest(request, response);
}

export function sendNothing(wire: Wire, headers = noHeaders): void {
  const { request, response, correlationId, crossOrigin } = wire;
  response.writeHead(204, ["X-Correlation-Id", correlationId, ...headers, ...crossOrigin]);
  response.end();
  wire.discarding.rest(request, response);
}

/** An error after the first byte can only be shown by ending the connection. */
export function sendError(wire: Wire, error: OrchError, headers = noHeaders): void {
  const { response } = wire;
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  sendJson(wire, error.status, JSON.stringify(error.toEnvelope()), [...advice(error), ...headers]);
}

/** Retry-After and X-Backoff-Ms say the same as the body's retry_after_ms, and only with it. */
function advice({ status, details }: OrchError): string[] {
  const { retry_after_ms: retryMs, predicted_start_ms: startMs } = details;
  if (retryMs === undefined) return [];
  const seconds = Math.max(1, Math.ceil(retryMs / 1000));
  const headers = ["Retry-After", String(seconds), "X-Backoff-Ms", String(retryMs)];
  if (status === 429 && startMs !== undefined) headers.push("X-Queue-ETA-Ms", String(startMs));
  return headers;
}

export function budgetHeaders({ tokens, timeMs, cost }: BudgetView): string[] {
  return [
    "X-Budget-Tokens-Remaining",
    String(tokens),
    "X-Budget-Time-Remaining-Ms",
    String(timeMs),
    "X-Budget-Cost-Remaining",
    String(cost),
  ];
}

/** What went wrong inside, in words that give nothing away; the log has the rest. */
export function internalError(cause: unknown, details: OrchError["details"] = {}): OrchError {
  const message = "Something went wrong inside llama-orch; the correlation id finds it in the log.";
  return new OrchError("INTERNAL", message, details, cause);
}

const malformed: Readonly<Record<string, readonly [status: string, message: string]>> = {
  HPE_HEADER_OVERFLOW: ["431 Request Header Fields Too Large", "The headers are too large; send fewer."],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ["413 Payload Too Large", "The chunk extensions of the body are too large."],
  ERR_HTTP_REQUEST_TIMEOUT: ["408 Request Timeout", "The request did not arrive in time; send it again."],
};
const notHttp = ["400 Bad Request", "This is not a well-formed HTTP/1.1 request."] as const;

/** Where the answer to the latest request on a connection stands. */
export type Standing = "none" | "awaited" | "begun";

/** Answers bytes that are no request, where nothing else is on its way on the same connection. */
export function answerMalformed(
  code: string | undefined,
  socket: Socket,
  answer: Standing,
  discarding: Discarding,
): void {
  const told = socket.writable && answer !== "begun" && code !== "ECONNRESET";
  if (told) {
    const [status, message] = malformed[code ?? ""] ?? notHttp;
    const body = JSON.stringify(new OrchError("INVALID_PARAMS", message).toEnvelope());
    const head = [
      `HTTP/1.1 ${status}`,
      `Content-Type: ${jsonType}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      `X-Correlation-Id: ${randomUUID()}`,
      "Connection: close",
    ];
    socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
  }
  // Whoever was too slow has nothing on its way, and a body that went wrong gives its room back now.
  if (told && answer === "none" && code?.startsWith("HPE_")) discarding.close(socket);
  else socket.destroy();
}
