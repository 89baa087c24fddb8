// A task from its submission to its last frame, through lost connections and restarts of the server. It hands
// over each token once, in order, and of one text only; when that cannot be, it throws.

import {
  type AdmissionResponse,
  type ErrorCode,
  OrchError,
  type TaskRequest,
  type WaitingComment,
} from "@llama-orch/contract";
import { call } from "./answer.ts";
import type { Connection } from "./call.ts";
import { Delivery } from "./delivery.ts";
import { ConnectionLost, mismatch, UnreachableError } from "./faults.ts";
import type { Frame } from "./frames.ts";
import { newId } from "./new-id.ts";
import { Patience, type Retry } from "./retry.ts";
import { openStream } from "./stream.ts";

/** What a caller must say; the rest has a value that wishes nothing. Ids are made where none are given. */
export type RunRequest = Pick<TaskRequest, "model_ref" | "max_tokens" | "deadline_ms"> & Partial<TaskRequest>;

export interface RunOptions {
  /** Aborting cancels the task and makes the loop throw the signal's reason. */
  readonly signal?: AbortSignal;
  /** What becomes of a task whose loop is left before its last frame. Default: cancel. */
  readonly onLeave?: "cancel" | "keep";
  readonly correlationId?: string;
  /** Adds human text and preparation to metrics frames. */
  readonly verbose?: boolean;
  readonly onAccepted?: (admission: AdmissionResponse) => void;
  /** Queue position and predicted start, whenever they change before the task starts. */
  readonly onWaiting?: (waiting: WaitingComment) => void;
  readonly onRetry?: (retry: Retry) => void;
}

/**
 * Nothing is sent before the first frame is asked for. Iterating again reads the same task again. The last
 * frame is `end` or `error`; an error frame is yielded, not thrown.
 */
export interface Run extends AsyncIterable<Frame> {
  readonly taskId: string;
}

export function startRun(connection: Connection, request: RunRequest, options: RunOptions = {}): Run {
  const task: TaskRequest = {
    task_id: newId(),
    session_id: newId(),
    workload: "completion",
    engine: "llamacpp",
    ctx: 0,
    priority: "interactive",
    ...request,
  };
  const traced = { correlationId: newId(), ...options };
  return {
    taskId: task.task_id,
    [Symbol.asyncIterator]: () => follow(connection, task, traced),
  };
}

/**
 * How often a task is handed in anew because the server lost its memory over a restart. The digest proves
 * that it is the same text again.
 */
const resubmissionsMax = 8;

async function* follow(
  connection: Connection,
  task: TaskRequest,
  options: RunOptions,
): AsyncGenerator<Frame, void, undefined> {
  const { signal, onRetry } = options;
  signal?.throwIfAborted();
  const patience = new Patience({
    settings: connection.retry,
    reached: () => connection.reached,
    ...(signal && { signal }),
    ...(onRetry && { onRetry }),
  });
  const delivery = new Delivery(task.task_id);
  const progress: Progress = { delivery, patience, started: false, submissions: 0 };
  using hold = holdOf(connection, task.task_id, options);
  let accepted = false;
  try {
    for (;;) {
      if (!accepted) await submit(connection, task, options, progress, hold);
      accepted = true;
      try {
        for await (const frame of newFrames(connection, task.task_id, options, progress)) {
          signal?.throwIfAborted();
          patience.renew();
          const isLast = frame.event === "end" || frame.event === "error";
          if (isLast) hold.release();
          yield frame;
          if (isLast) return;
        }
        throw new ConnectionLost(connection.baseUrl, "the stream ended before its last frame");
      } catch (error) {
        // The text itself is broken; the code allows another task, not another look at this one.
        if (isCode(error, "WORKER_RESET")) throw error;
        if (isCode(error, "NOT_FOUND") && progress.submissions <= resubmissionsMax) accepted = false;
        else await patience.wait(error);
      }
    }
  } catch (error) {
    // Where nobody answers, nobody can be told either.
    if (error instanceof UnreachableError) hold.release();
    throw error;
  } finally {
    await hold.leave();
  }
}

interface Progress {
  readonly delivery: Delivery;
  readonly patience: Patience;
  started: boolean;
  submissions: number;
}

async function submit(
  connection: Connection,
  task: TaskRequest,
  { signal, correlationId, onAccepted, onRetry }: RunOptions,
  progress: Progress,
  hold: Hold,
): Promise<void> {
  hold.take();
  try {
    const admission = await call<AdmissionResponse>(
      connection,
      "createTask",
      { body: task },
      {
        ...(signal && { signal }),
        ...(correlationId !== undefined && { correlationId }),
        ...(onRetry && { onRetry }),
      },
    );
    if (progress.submissions++ === 0) onAccepted?.(admission);
    else progress.delivery.startOver();
  } catch (error) {
    // Refused or out of reach: nothing of ours runs there, and an id in conflict is somebody else's task.
    if (!signal?.aborted) hold.release();
    throw error;
  }
}

/** The frames of one connection that the caller has not seen yet. */
async function* newFrames(
  connection: Connection,
  taskId: string,
  { signal, correlationId, verbose, onWaiting }: RunOptions,
  progress: Progress,
): AsyncGenerator<Frame, void, undefined> {
  const { delivery, patience } = progress;
  const { lastEventId } = delivery;
  const stream = openStream(connection, taskId, {
    ...(signal && { signal }),
    ...(correlationId !== undefined && { correlationId }),
    ...(verbose !== undefined && { verbose }),
    ...(onWaiting && { onWaiting }),
    ...(lastEventId !== undefined && { lastEventId }),
    onSound: () => patience.heard(),
  });
  try {
    for await (const frame of stream) {
      if (frame.event === "token") {
        const { id } = frame;
        const pieces = delivery.take(frame.data, id);
        const last = pieces.at(-1);
        // The id of a frame proves the position after all of its pieces.
        for (const data of pieces) {
          yield { event: "token", data, ...(id !== undefined && data === last && { id }) };
        }
        continue;
      }
      if (frame.event === "started" && progress.started) continue;
      progress.started = true;
      if (frame.event === "end") delivery.finish();
      yield frame;
    }
  } catch (error) {
    // With a position in the request, a parameter that is not accepted is that position.
    const refused =
      error instanceof OrchError && error.code === "INVALID_PARAMS" && lastEventId !== undefined;
    throw refused ? mismatch(taskId, "the server has other tokens before our position", error) : error;
  }
}

function isCode(error: unknown, code: ErrorCode): error is OrchError {
  return error instanceof OrchError && error.code === code;
}

/** Whether the server may be working for us, and what is done about it when the loop is left. */
interface Hold extends Disposable {
  take(): void;
  release(): void;
  /** Settles when a cancel that was due has been answered, or could not be. */
  leave(): Promise<void>;
}

const cancelMs = 1000;

function holdOf(connection: Connection, taskId: string, options: RunOptions): Hold {
  const { signal, onLeave = "cancel", correlationId } = options;
  let held = false;
  let canceling: Promise<void> | undefined;
  const cancel = async () => {
    const retry = { ...connection.retry, patienceMs: cancelMs, contactMs: 0 };
    const brief = { ...connection, timeoutMs: cancelMs, retry };
    const input = { path: { id: taskId } };
    try {
      await call(brief, "cancelTask", input, correlationId === undefined ? {} : { correlationId });
    } catch {
      // Out of reach: the server ends a task that has lost its last reader by itself.
    }
  };
  const end = () => {
    if (held && onLeave === "cancel") canceling ??= cancel();
    held = false;
  };
  signal?.addEventListener("abort", end, { once: true });
  return {
    take() {
      held = true;
    },
    release() {
      held = false;
    },
    async leave() {
      end();
      await canceling;
    },
    [Symbol.dispose]: () => signal?.removeEventListener("abort", end),
  };
}
