// One row of the route table: what a route takes, what it answers, which errors it may say.

import type { TSchema } from "typebox";
import type { ErrorCode } from "../errors.ts";

export type HttpMethod = "GET" | "POST" | "DELETE";

export interface Reply {
  readonly says: string;
  /** Absent: no body. */
  readonly schema?: TSchema;
  readonly contentType?: string;
  readonly headers?: readonly HeaderName[];
  readonly example?: unknown;
}

export interface Route {
  /** Unique; the operationId of OpenAPI and the name of the SDK's method. */
  readonly id: string;
  readonly method: HttpMethod;
  /** With `{name}` for a segment; the caller percent-encodes what it puts in. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  /** `open`: never asks for a credential. `key`: an API key or a token. `token`: a token only. */
  readonly auth: "open" | "key" | "token";
  readonly query?: TSchema;
  readonly requestHeaders?: Readonly<Record<string, string>>;
  readonly body?: { readonly schema: TSchema; readonly example: unknown; readonly limitBytes: number };
  readonly replies: Readonly<Record<number, Reply>>;
  /** Errors beyond those that every route of its kind may say. */
  readonly errors: readonly ErrorCode[];
}

/** Response headers that carry meaning, with the words OpenAPI shows for them. */
export const responseHeaders = {
  "X-Correlation-Id": "The caller's id, or a new UUIDv4.",
  "X-Budget-Tokens-Remaining": "limit - spent - reserved of the session's token budget; 0 when none is set.",
  "X-Budget-Time-Remaining-Ms": "The same for time; the session's TTL when none is set.",
  "X-Budget-Cost-Remaining": "The same for cost; 0 when none is set.",
  "Retry-After": "Whole seconds after which trying again makes sense, at least 1.",
  "X-Backoff-Ms": "The same in milliseconds; equals retry_after_ms of the body.",
  "X-Queue-Position": "Where the task would have stood.",
  "X-Queue-ETA-Ms": "When it would have started.",
  Allow: "The methods this path has.",
} as const;
export type HeaderName = keyof typeof responseHeaders;
