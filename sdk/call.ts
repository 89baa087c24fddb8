// One exchange with the server: a row of the route table becomes a request, a failure becomes an error with a
// code. It tries once; retry.ts decides about more.

import { type ErrorDetails, ErrorEnvelope, errorTable, faces, OrchError, parser } from "@llama-orch/contract";
import { ConnectionLost, UnexpectedReplyError } from "./faults.ts";
import type { RetrySettings } from "./retry.ts";

export interface Connection {
  readonly baseUrl: string;
  readonly fetch: typeof globalThis.fetch;
  readonly headers: Readonly<Record<string, string>>;
  readonly retry: RetrySettings;
  /** How long an answer may take to begin, and a body to arrive. */
  readonly timeoutMs: number;
  /** A stream that is silent for so long, heartbeats included, counts as lost. */
  readonly silenceMs: number;
  /** Whether the server has ever answered; `exchange` alone writes it. */
  reached: boolean;
}

export interface CallInput {
  /** What stands for each `{name}` of the path; it is percent-encoded here. */
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const routes = new Map(
  [...faces.orchqueue.routes, ...faces.operator.routes].map((route) => [route.id, route]),
);

/** A 2xx response whose body is still to be read, or the error that the server meant. */
export async function exchange(
  connection: Connection,
  routeId: string,
  input: CallInput,
  signal: AbortSignal,
): Promise<Response> {
  const route = routes.get(routeId);
  if (route === undefined) throw new TypeError(`The contract has no route ${routeId}.`);
  const url = connection.baseUrl + pathOf(route.path, input.path) + queryText(input.query);
  for (const [name, value] of Object.entries(input.headers ?? {})) sendable(name, value);
  const headers: Record<string, string> = { ...connection.headers, ...input.headers };
  if (input.body !== undefined) headers["Content-Type"] = "application/json";
  const response = await reaching(connection.baseUrl, signal, () =>
    connection.fetch(url, {
      method: route.method,
      headers,
      signal,
      redirect: "manual",
      ...(input.body !== undefined && { body: JSON.stringify(input.body) }),
    }),
  );
  if (response.ok) {
    connection.reached = true;
    return response;
  }
  const text = await reaching(connection.baseUrl, signal, () => response.text());
  const error = failureOf(connection.baseUrl, response, text);
  if (!(error instanceof ConnectionLost)) connection.reached = true;
  throw error;
}

/** What fetch could not send would otherwise look like a lost connection. The text may be a secret. */
export function sendable(name: string, value: string): string {
  if (/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value)) return value;
  throw new OrchError("INVALID_PARAMS", `${name}: accepted is visible ASCII text; the one given is none.`);
}

/** Runs a step of fetch; its failures are lost connections, unless the caller himself gave up. */
export async function reaching<T>(baseUrl: string, signal: AbortSignal, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw new ConnectionLost(baseUrl, (error as Error).message, error);
  }
}

export function parseJson(baseUrl: string, status: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UnexpectedReplyError(baseUrl, status, `${status} with a body that is not JSON`, error);
  }
}

function pathOf(path: string, values: CallInput["path"] = {}): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name] ?? "";
    // A path is resolved over these, however they are encoded, so the request would go to another route.
    if (value === "" || value === "." || value === "..") {
      throw new OrchError("INVALID_PARAMS", `${name}: given ${JSON.stringify(value)}; that names nothing.`);
    }
    return encodeURIComponent(value);
  });
}

function queryText(query: CallInput["query"] = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  if (given.length === 0) return "";
  return `?${new URLSearchParams(given.map(([key, value]): [string, string] => [key, String(value)]))}`;
}

const parseEnvelope = parser(ErrorEnvelope);
const gatewayStatuses = new Set([502, 503, 504]);

function failureOf(baseUrl: string, response: Response, text: string): Error {
  const { status, headers } = response;
  const envelope = envelopeOf(text);
  if (envelope === undefined) {
    // A proxy in front of a server that restarts says so with one of these.
    if (gatewayStatuses.has(status)) return new ConnectionLost(baseUrl, `a proxy answered ${status}`);
    const to = headers.get("Location");
    const what = to === null ? `${status}` : `${status} with a redirect to ${to}`;
    return new UnexpectedReplyError(baseUrl, status, what);
  }
  const { code, message = errorTable[code].says, retriable: _, ...details } = envelope;
  return new OrchError(code, message + traceOf(code, headers), withRetryAfter(details, headers));
}

function envelopeOf(text: string): ErrorEnvelope | undefined {
  try {
    return parseEnvelope(JSON.parse(text));
  } catch {
    // Not ours; the caller says what came instead.
    return undefined;
  }
}

/** A fault of the server is found in its logs by this id alone. */
function traceOf(code: string, headers: Headers): string {
  const id = headers.get("X-Correlation-Id");
  return code === "INTERNAL" && id !== null ? ` (correlation id ${id})` : "";
}

function withRetryAfter(details: ErrorDetails, headers: Headers): ErrorDetails {
  if (details.retry_after_ms !== undefined) return details;
  const afterMs = Number(headers.get("X-Backoff-Ms") ?? 0) || Number(headers.get("Retry-After") ?? 0) * 1000;
  return afterMs > 0 ? { ...details, retry_after_ms: afterMs } : details;
}
