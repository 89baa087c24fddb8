// `llorch run`: hands in one task and streams it. Tokens go to stdout and nothing else does; whatever is said
// about them goes to stderr.

import type { EndFrame, TaskRequest, WaitingComment } from "@llama-orch/contract";
import { type Frame, OrchError, type RunRequest } from "@llama-orch/sdk";
import type { Context } from "../context.ts";
import { exitCodes, Interrupted, Refusal } from "../failure.ts";
import { durationText } from "../print/quantity.ts";
import { safeLines, safeText } from "../print/safe-text.ts";
import { StatusLine } from "../print/status-line.ts";
import { type Output, paint } from "../terminal.ts";

export interface RunWish {
  readonly model: string;
  readonly maxTokens: number;
  readonly deadline: number;
  readonly priority: TaskRequest["priority"];
  readonly temperature?: number;
  readonly seed?: number;
  readonly session?: string;
  readonly label?: string;
  readonly system?: string;
}

export async function runTask(context: Context, prompt: string, wish: RunWish): Promise<void> {
  const { terminal } = context;
  const text = prompt === "-" ? await readAll(terminal.input) : prompt;
  if (text.trim() === "") {
    throw new Refusal("The prompt is empty. Pass a text, or - to read one from stdin.", exitCodes.usage);
  }
  const leaving = new AbortController();
  const stopListening = onLeave(context, leaving);
  try {
    await stream(context, requestOf(text, wish), wish, leaving.signal);
  } catch (error) {
    if (leaving.signal.aborted && error === leaving.signal.reason) throw new Interrupted();
    throw error;
  } finally {
    stopListening();
  }
}

function requestOf(prompt: string, wish: RunWish): RunRequest {
  const { temperature, seed, session, label, system } = wish;
  const request: TaskRequest["messages"] = [{ role: "user", content: prompt }];
  if (system !== undefined) request.unshift({ role: "system", content: system });
  return {
    model_ref: wish.model,
    max_tokens: wish.maxTokens,
    deadline_ms: wish.deadline,
    priority: wish.priority,
    messages: request,
    ...(session !== undefined && { session_id: session }),
    ...(label !== undefined && { label }),
    ...(seed !== undefined && { seed }),
    ...(temperature !== undefined && { sampling: { temperature } }),
  };
}

/** Ctrl-C and a reader that has gone (`llorch run … | head`) both end the task; a second Ctrl-C ends us. */
function onLeave({ terminal }: Context, leaving: AbortController): () => void {
  return terminal.onInterrupt(() => {
    if (leaving.signal.aborted) terminal.exit(exitCodes.interrupted);
    leaving.abort(new Interrupted());
  });
}

async function stream(
  context: Context,
  request: RunRequest,
  wish: RunWish,
  signal: AbortSignal,
): Promise<void> {
  const { terminal, json } = context;
  const status = new StatusLine(terminal.err);
  const line = (value: object) => `${JSON.stringify(value)}\n`;
  const run = context.client().run(request, {
    signal,
    onAccepted: (data) => void (json && terminal.out.write(line({ event: "accepted", data }))),
    onWaiting(data) {
      if (json) terminal.out.write(line({ event: "waiting", data }));
      else status.show(waitingText(data));
    },
    onRetry({ error, delayMs }) {
      const data = { message: error.message, delay_ms: Math.round(delayMs) };
      if (json) terminal.out.write(line({ event: "retry", data }));
      else status.show(retryText(error, delayMs));
    },
  });
  let lastText = "";
  let startedAtMs = performance.now();
  try {
    for await (const frame of run) {
      status.clear();
      if (frame.event === "started") startedAtMs = performance.now();
      if (json) await write(terminal.out, line(frame), signal);
      else if (frame.event === "token") {
        lastText = frame.data.t || lastText;
        await write(terminal.out, terminal.out.isTTY ? safeLines(frame.data.t) : frame.data.t, signal);
      }
      if (frame.event === "error" || frame.event === "end") {
        if (lastText !== "" && !lastText.endsWith("\n")) terminal.out.write("\n");
        conclude(context, frame, wish, performance.now() - startedAtMs);
      }
    }
  } finally {
    status.clear();
  }
}

function conclude(
  { terminal: { err }, json }: Context,
  frame: Frame & { event: "end" | "error" },
  wish: RunWish,
  elapsedMs: number,
): void {
  if (frame.event === "error") {
    const { code, message } = frame.data;
    throw new OrchError(code, message);
  }
  if (frame.data.canceled) throw new Refusal("The task was cancelled before it had finished.");
  if (!json && err.isTTY) err.write(`${paint("dim", summary(frame.data, wish, elapsedMs), err)}\n`);
}

function summary({ tokens_out }: EndFrame, { maxTokens }: RunWish, elapsedMs: number): string {
  const rate = elapsedMs > 0 ? `, ${Math.round((tokens_out * 1000) / elapsedMs)} tokens/s` : "";
  const cut = tokens_out >= maxTokens ? `; stopped by --max-tokens ${maxTokens}` : "";
  return `${tokens_out} tokens in ${durationText(elapsedMs)}${rate}${cut}`;
}

export function waitingText({ queue_position, predicted_start_ms, prep = {} }: WaitingComment): string {
  const ahead = queue_position === 0 ? "next in line" : `${queue_position} ahead in the queue`;
  const step = Object.values(prep).find(({ status }) => status === "running");
  const percent = step?.pct === undefined ? "" : ` ${Math.round(step.pct)} %`;
  const doing = step === undefined ? "" : `; ${safeText(step.human ?? step.phase ?? "preparing")}${percent}`;
  return `Waiting: ${ahead}, starts in about ${durationText(predicted_start_ms)}${doing}`;
}

export function retryText(error: Error, delayMs: number): string {
  const what = error instanceof OrchError ? error.message : "The connection broke off.";
  return `${what} Trying again in ${durationText(delayMs)}.`;
}

/** Waits for a slow reader, so that the stream and not our memory is what fills up. */
async function write(output: Output, text: string, signal: AbortSignal): Promise<void> {
  if (text === "" || output.write(text)) return;
  await new Promise<void>((resolve) => {
    const go = () => {
      output.off("drain", go);
      signal.removeEventListener("abort", go);
      resolve();
    };
    output.once("drain", go);
    signal.addEventListener("abort", go);
  });
}

async function readAll(input: AsyncIterable<string | Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of input) {
    text += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
