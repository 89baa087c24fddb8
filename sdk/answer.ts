// A whole call: exchange, body, limits of time, and repeating where that is safe. Every method of the client
// that answers once goes through here.

import { type CallInput, type Connection, exchange, parseJson, reaching } from "./call.ts";
import { ConnectionLost } from "./faults.ts";
import { limit } from "./pause.ts";
import { type Retry, retrying } from "./retry.ts";

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly correlationId?: string;
  readonly onRetry?: (retry: Retry) => void;
  /** The headers of the answer, budgets among them. */
  readonly onHeaders?: (headers: Headers) => void;
}

/** These take effect again when they are sent again, so a lost answer is the caller's to look into. */
const sentOnce = new Set(["createModel", "setModelState", "reloadPool"]);
/** A reload answers when the new model serves, and how long that takes only the pool knows. */
const untimed = new Set(["reloadPool"]);

/** The JSON of the answer, or undefined where the route answers without a body. */
export function call<T>(
  connection: Connection,
  routeId: string,
  input: CallInput = {},
  options: CallOptions = {},
): Promise<T> {
  const { signal, onRetry } = options;
  const scope = {
    settings: connection.retry,
    reached: () => connection.reached,
    ...(signal && { signal }),
    ...(onRetry && { onRetry }),
  };
  return retrying(scope, !sentOnce.has(routeId), () => once<T>(connection, routeId, input, options));
}

async function once<T>(
  connection: Connection,
  routeId: string,
  input: CallInput,
  { signal, correlationId, onHeaders }: CallOptions,
): Promise<T> {
  const { baseUrl, timeoutMs } = connection;
  const late = () => new ConnectionLost(baseUrl, `no answer came within ${timeoutMs} ms`);
  using inTime = limit(timeoutMs, late, signal);
  if (untimed.has(routeId)) inTime.lift();
  const headers = correlationId === undefined ? {} : { "X-Correlation-Id": correlationId };
  const response = await exchange(connection, routeId, { ...input, headers }, inTime.signal);
  const text = await reaching(baseUrl, inTime.signal, () => response.text());
  onHeaders?.(response.headers);
  if (text === "") return undefined as T;
  const isJson = response.headers.get("Content-Type")?.includes("json") ?? false;
  return (isJson || routeId !== "getMetrics" ? parseJson(baseUrl, response.status, text) : text) as T;
}
