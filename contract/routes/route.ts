// One row of the route table: what a route takes, what it answers, which errors it may say.

import Type, { type TSchema } from "typebox";
import type { ErrorCode } from "../errors.ts";
import { count } from "../number.ts";

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
  /**
   * `open`: never asks for a credential. `key`: an API key or a token. `token`: the token where one is
   * configured, else an API key where keys are.
   */
  readonly auth: "open" | "key" | "token";
  readonly query?: TSchema;
  readonly requestHeaders?: Readonly<Record<string, string>>;
  readonly body?: { readonly schema: TSchema; readonly example: unknown; readonly limitBytes: number };
  readonly replies: Readonly<Record<number, Reply>>;
  /** Errors beyond those that every route of its kind may say. */
  readonly errors: readonly ErrorCode[];
}

interface HeaderRow {
  readonly says: string;
  readonly schema: TSchema;
}

const wholeFromOne = Type.Integer({ minimum: 1 });

/** Response headers that carry meaning, with the words and the form OpenAPI shows for them. */
export const responseHeaders = {
  "X-Correlation-Id": {
    says: "The caller's id, or a new UUIDv4.",
    schema: Type.String({ pattern: "^[\\x21-\\x7e]{1,128}$" }),
  },
  "Cache-Control": {
    says: "A stream is never stored on its way.",
    schema: Type.Literal("no-cache"),
  },
  "X-Accel-Buffering": {
    says: "Asks a proxy to hand on each frame at once.",
    schema: Type.Literal("no"),
  },
  "X-Budget-Tokens-Remaining": {
    says: "limit - spent - reserved of the session's token budget; 0 when none is set.",
    schema: count,
  },
  "X-Budget-Time-Remaining-Ms": {
    says: "The same for time; the session's TTL when none is set.",
    schema: count,
  },
  "X-Budget-Cost-Remaining": {
    says: "The same for cost; 0 when none is set.",
    schema: Type.Number({ minimum: 0 }),
  },
  "Retry-After": {
    says: "Whole seconds after which trying again makes sense, at least 1.",
    schema: wholeFromOne,
  },
  "X-Backoff-Ms": {
    says: "The same in milliseconds; equals retry_after_ms of the body.",
    schema: wholeFromOne,
  },
  "X-Queue-Position": { says: "Where the task would have stood.", schema: count },
  "X-Queue-ETA-Ms": { says: "When it would have started.", schema: count },
  Allow: { says: "The methods this path has.", schema: Type.String() },
} as const satisfies Record<string, HeaderRow>;
export type HeaderName = keyof typeof responseHeaders;
