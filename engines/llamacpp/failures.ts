// What llama-server's failures mean, as one table: HTTP answers, errors in the middle of a stream, and
// connections that break. The first row that fits decides.

import { EngineError, type EngineFault, type EngineLoss, lost } from "../fault.ts";
import { HttpFailure, type HttpFailureKind } from "../http/http-failure.ts";
import { SseOverflow } from "../sse.ts";

export interface UpstreamError {
  readonly status: number;
  readonly message: string;
}

export interface FailureRow {
  /** Of the answer, or the code inside an error of the stream; absent: any. */
  readonly status?: { readonly from: number; readonly to: number };
  readonly message?: RegExp;
  readonly fault: EngineFault;
  /** What a person should do, behind what the engine said. */
  readonly hint?: string;
}

const invalid: EngineFault = { kind: "refused", code: "INVALID_PARAMS" };
const internal: EngineFault = { kind: "refused", code: "INTERNAL" };
const loss = (reason: EngineLoss): EngineFault => ({ kind: "lost", reason });
const only = (status: number) => ({ from: status, to: status });
/** The engine's own trouble. */
const broke = { from: 500, to: 599 };

const keyHint = "Give the pool the engine's API key.";

export const failureTable: readonly FailureRow[] = [
  { status: only(401), fault: internal, hint: keyHint },
  { status: only(403), fault: internal, hint: keyHint },
  { status: { from: 400, to: 499 }, fault: invalid },
  // These may quote the client, who writes what it likes; so they stand above the rows that read the text.
  { status: only(500), message: /parse error/i, fault: invalid },
  { status: only(500), message: /too large to process/i, fault: invalid },
  { status: only(501), fault: invalid },
  {
    status: broke,
    message: /cuda.{0,40}out of memory|cudaMalloc failed|vram|CUDA0? buffer/i,
    fault: loss("vram_oom"),
  },
  {
    status: broke,
    message: /bad_alloc|cannot allocate memory|out of memory|failed to allocate/i,
    fault: loss("host_oom"),
  },
  {
    status: broke,
    message:
      /cuda error|cuda failure|illegal memory access|device-side assert|launch failure|fallen off the bus/i,
    fault: loss("driver_reset"),
  },
  // The slots share one pool of context, and it ran out in the middle of a stream.
  { status: only(500), message: /context size has been exceeded/i, fault: loss("busy") },
  { status: only(503), fault: loss("busy") },
  { fault: loss("reset") },
];

export function faultOf(upstream: UpstreamError): FailureRow {
  const row = failureTable.find(
    ({ status, message }) =>
      (status === undefined || (upstream.status >= status.from && upstream.status <= status.to)) &&
      (message === undefined || message.test(upstream.message)),
  );
  return row ?? { fault: loss("reset") };
}

export function upstreamError(upstream: UpstreamError, redact: (text: string) => string): EngineError {
  const { fault, hint } = faultOf(upstream);
  const said = redact(upstream.message).slice(0, 500);
  return new EngineError(
    fault,
    `The engine answered ${upstream.status}: ${said}${hint === undefined ? "" : ` ${hint}`}`,
  );
}

/** `{"error":{"code":…,"message":…}}`; anything else is quoted as it is. */
export function parseUpstream(status: number, text: string): UpstreamError {
  try {
    const { error } = JSON.parse(text) as { error?: { code?: unknown; message?: unknown } };
    if (typeof error?.message === "string") {
      return { status: typeof error.code === "number" ? error.code : status, message: error.message };
    }
  } catch {
    // A proxy or a crash handler writes what it likes.
  }
  return { status, message: text };
}

const broken: Readonly<Record<HttpFailureKind, EngineLoss>> = {
  refused: "crash",
  unreachable: "crash",
  reset: "reset",
  connect_timeout: "hung",
  untrusted: "crash",
  proxy_refused: "crash",
  timeout: "hung",
  too_large: "reset",
};

/** What an adapter throws for whatever was thrown beneath it; the signal's reason passes as it is. */
export function toEngineError(
  error: unknown,
  signal: AbortSignal,
  redact: (text: string) => string,
): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof HttpFailure) return lost(broken[error.kind], redact(error.message));
  if (error instanceof SseOverflow) return lost("reset", error.message);
  return error;
}
