// Holds every task of a round against what was promised to whoever handed it in: one outcome, the bytes of
// the undisturbed run, each index once, nothing after a cancel. It only compares.

import type { TaskView } from "@llama-orch/contract";
import type { Life } from "./lives.ts";
import { dataOf, indexOf, type Received } from "./received.ts";

export interface Evidence {
  readonly life: Life;
  /** Of the undisturbed run. */
  readonly expected: string;
  readonly view: TaskView | undefined;
  /** The whole stream, read again when all was over. */
  readonly again: Received;
  /** Engines gave wrong tokens on purpose; best-effort tasks may run on a strict set, too. */
  readonly flips: boolean;
}

export type Verdict = "lost" | "duplicated" | "mismatched" | "wrong";

export interface Violation {
  readonly verdict: Verdict | "leaked" | "miscounted";
  readonly message: string;
}

export const replayDiffers = /^A replay gave other text/;

/** Tries of a task, after which it may end with an error that is nobody's mistake. */
const triesMax = 3;
const afterTries = new Set(["WORKER_RESET", "REPLICA_EXHAUSTED", "DECODE_TIMEOUT"]);

export function judgeTask(evidence: Evidence): Violation[] {
  const { life, view } = evidence;
  const { id } = life.task;
  if (life.failure !== undefined) return [{ verdict: "wrong", message: `${id}: ${life.failure}` }];
  if (life.jobId === undefined) return [];
  if (view === undefined || view.state === "waiting" || view.state === "running") {
    return [{ verdict: "lost", message: `${id} was admitted and is ${view?.state ?? "unknown"}.` }];
  }
  const found = [outcomeFault(evidence, view), ...textFaults(evidence, view), cancelFault(evidence, view)];
  return found.flatMap((fault) =>
    fault === undefined ? [] : [{ ...fault, message: `${id} ${fault.message}` }],
  );
}

type Fault = Violation | undefined;

const wrong = (message: string): Violation => ({ verdict: "wrong", message });

function outcomeFault({ life, again, flips }: Evidence, view: TaskView): Fault {
  const { terminal, terminals } = again;
  if (terminal === undefined || terminals !== 1) {
    return { verdict: "lost", message: `is ${view.state}, and its stream has ${terminals} last frames.` };
  }
  const state = terminal.event === "error" ? "failed" : terminal.data.canceled === true ? "canceled" : "done";
  const said = JSON.stringify(terminal.data);
  if (state !== view.state) return wrong(`is ${view.state} in the list, and its stream ends with ${said}.`);
  const first = life.received.terminal;
  if (first !== undefined && JSON.stringify(first.data) !== said && life.task.reading.kind !== "sdk") {
    return wrong(`ended with ${JSON.stringify(first.data)} for its reader, and now with ${said}.`);
  }
  if (state === "done" && isLeft(life))
    return wrong("ran to its end, and its only reader had left long ago.");
  if (state === "canceled" && !mayBeCanceled(life)) return wrong("was cancelled, and nobody wanted that.");
  if (state !== "failed") return undefined;
  if (terminal.data.code !== view.code)
    return wrong(`failed with ${view.code}, and its stream says ${said}.`);
  if (replayDiffers.test(terminal.data.message ?? "")) {
    return flips ? undefined : { verdict: "mismatched", message: `was replayed differently: ${said}` };
  }
  const isTried = afterTries.has(String(view.code)) && view.attempt >= triesMax;
  return isTried ? undefined : wrong(`failed at attempt ${view.attempt}: ${said}`);
}

/** What is left of it takes longer than a reader is waited for. */
function isLeft({ task, received }: Life): boolean {
  return task.reading.kind === "leaves" && task.id.startsWith("long-") && !received.isOver;
}

function mayBeCanceled({ task }: Life): boolean {
  return task.cancelAfterMs !== undefined || task.reading.kind === "leaves";
}

function* textFaults({ life, expected, again, flips }: Evidence, { state }: TaskView): Generator<Violation> {
  const { received } = life;
  for (const [who, one] of [
    ["Its reader", received],
    ["The stream read again", again],
  ] as const) {
    if (one.duplicated > 0) {
      yield { verdict: "duplicated", message: `${who} got ${one.duplicated} tokens twice.` };
    }
    const gap = one.tokens.findIndex((block, n) => indexOf(dataOf(block)) !== n);
    if (gap >= 0) yield wrong(`${who} got something else where token ${gap} was due.`);
  }
  if (state === "done" && again.bytes !== expected) {
    yield {
      verdict: "mismatched",
      message: `differs from its undisturbed run${difference(again.bytes, expected)}`,
    };
  }
  const mayHaveLies = flips && state !== "done";
  if (!mayHaveLies && !expected.startsWith(received.bytes)) {
    yield { verdict: "mismatched", message: `was read differently${difference(received.bytes, expected)}` };
  }
  if (state === "canceled") return;
  const isPart = received.isOver ? again.bytes === received.bytes : again.bytes.startsWith(received.bytes);
  if (!isPart) {
    const message = `has other bytes now than its reader got${difference(received.bytes, again.bytes)}`;
    yield { verdict: "mismatched", message };
  }
}

/** Where two texts part, with a little of both. */
function difference(got: string, wanted: string): string {
  let at = 0;
  while (at < got.length && got[at] === wanted[at]) at += 1;
  const some = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 30), at + 60));
  return ` at byte ${at} of ${wanted.length}: ${some(got)} for ${some(wanted)}.`;
}

function cancelFault({ life }: Evidence, { state }: TaskView): Fault {
  const { canceled, received, task } = life;
  if (state !== "canceled" || canceled === undefined) return undefined;
  const late = canceled.afterwards.tokens.length;
  if (late > 0) return wrong(`gave ${late} tokens to a reader who came after its cancel was answered.`);
  // A slow reader still has before it what was sent long ago.
  const more = received.tokens.length - canceled.tokens;
  if (more > 0 && task.reading.kind !== "slow") return wrong(`gave ${more} tokens after its cancel.`);
  return undefined;
}
