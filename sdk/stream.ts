// One connection to the stream of a task. It ends where the connection ends; run.ts is what comes back.

import type { WaitingComment } from "@llama-orch/contract";
import { type Connection, exchange } from "./call.ts";
import { ConnectionLost } from "./faults.ts";
import { type Frame, readFrames } from "./frames.ts";
import { limit } from "./pause.ts";

export interface StreamOptions {
  readonly signal?: AbortSignal;
  readonly correlationId?: string;
  /** The id of the last frame that the caller has. */
  readonly lastEventId?: string;
  /** Index of the first token wanted; `lastEventId` wins. */
  readonly from?: number;
  /** Adds human text and preparation to metrics frames. */
  readonly verbose?: boolean;
  /** Whenever anything arrives, a heartbeat too. */
  readonly onSound?: () => void;
  /** What the server says about a task that waits. */
  readonly onWaiting?: (waiting: WaitingComment) => void;
}

export async function* openStream(
  connection: Connection,
  taskId: string,
  options: StreamOptions = {},
): AsyncGenerator<Frame, void, undefined> {
  const { baseUrl, timeoutMs, silenceMs } = connection;
  const { signal, correlationId, lastEventId, from, verbose, onWaiting, onSound } = options;
  const late = () => new ConnectionLost(baseUrl, `no answer began within ${timeoutMs} ms`);
  using begun = limit(timeoutMs, late, signal);
  const input = {
    path: { id: taskId },
    query: { verbose: verbose || undefined, from: lastEventId === undefined ? from : undefined },
    headers: {
      Accept: "text/event-stream",
      ...(lastEventId !== undefined && { "Last-Event-ID": lastEventId }),
      ...(correlationId !== undefined && { "X-Correlation-Id": correlationId }),
    },
  };
  const response = await exchange(connection, "streamTask", input, begun.signal);
  begun.lift();
  // 204: the reader has everything already.
  if (response.status === 204 || response.body === null) return;
  yield* readFrames(response.body, {
    url: baseUrl,
    silenceMs,
    ...(onWaiting && { onWaiting }),
    ...(onSound && { onSound }),
    ...(signal && { signal }),
  });
}
