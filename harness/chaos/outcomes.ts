// Holds every task of a round against what was promised to whoever handed it in: one outcome, the bytes of
// the undisturbed run, each index once, nothing after a cancel. It only compares.

import { isDeepStrictEqual } from "node:util";
import type { TaskView } from "@llama-orch/contract";
import { common } from "./installation.ts";
import type { Life } from "./life.ts";
import { dataOf, indexOf, Received } from "./received.ts";

export interface Evidence {
  readonly life: Life;
  /** Of the undisturbed run. */
  readonly expected: string;
  /** Absent where it ended before the last start of the daemon, whose lists begin there. */
  readonly view: TaskView | undefined;
  /** The whole stream, read again when all was over. */
  readonly again: Received;
  /** Attempts that were placed, over all lives of the daemon. */
  readonly attempts: number;
  /** It was placed on an engine of a strict set, where a stream is made again and not kept. */
  readonly isRemade: boolean;
  /** It was placed on engines of the best-effort set, too, so that a strict one may have gone on with it. */
  readonly isMixed: boolean;
  /** When each life of the daemon began. */
  readonly startsMs: readonly number[];
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
  const { life, view, again } = evidence;
  const { id } = life.task;
  if (life.failure !== undefined) return [{ verdict: "wrong", message: `${id}: ${life.failure}` }];
  if (life.admission === undefined) return [wrong(`${id} was refused for good: ${life.refusal}.`)];
  const state = stateOf(again);
  if (view?.state === "waiting" || view?.state === "running" || state === undefined) {
    const is = view?.state ?? "in no list";
    const last = `its stream has ${again.terminals} last frames`;
    return [{ verdict: "lost", message: `${id} was admitted and is ${is}, and ${last}.` }];
  }
  const found = [
    outcomeFault(evidence, state),
    ...textFaults(evidence, state),
    ...cancelFaults(evidence, state),
  ];
  return found.flatMap((fault) =>
    fault === undefined ? [] : [{ ...fault, message: `${id} ${fault.message}` }],
  );
}

type Fault = Violation | undefined;
type Ended = "done" | "canceled" | "failed";

const wrong = (message: string): Violation => ({ verdict: "wrong", message });

/** As its stream says; undefined where it says none, or more than one. */
export function stateOf({ terminal, terminals }: Received): Ended | undefined {
  if (terminal === undefined || terminals !== 1) return undefined;
  if (terminal.event === "error") return "failed";
  return terminal.data.canceled === true ? "canceled" : "done";
}

function outcomeFault(evidence: Evidence, state: Ended): Fault {
  const { life, again, view, attempts, flips } = evidence;
  const data = again.terminal?.data ?? {};
  const said = JSON.stringify(data);
  if (view !== undefined && state !== view.state) {
    return wrong(`is ${view.state} in the list, and its stream ends with ${said}.`);
  }
  if (view !== undefined && view.job_id !== life.admission?.job_id) {
    return wrong(`was admitted as ${life.admission?.job_id}, and is ${view.job_id} now.`);
  }
  const first = life.received.terminal;
  if (first !== undefined && !isSame(first.data, data, life)) {
    return wrong(`ended with ${JSON.stringify(first.data)} for its reader, and now with ${said}.`);
  }
  if (state === "done" && isLeft(life))
    return wrong("ran to its end, and its only reader had left long ago.");
  if (state === "canceled" && !mayBeCanceled(evidence))
    return wrong("was cancelled, and nobody wanted that.");
  if (state !== "failed") return undefined;
  const { code, message = "" } = data;
  if (view !== undefined && code !== view.code) {
    return wrong(`failed with ${view.code}, and its stream says ${said}.`);
  }
  if (replayDiffers.test(message)) {
    return flips ? undefined : { verdict: "mismatched", message: `was replayed differently: ${said}` };
  }
  const isTried = afterTries.has(String(code)) && Math.max(attempts, view?.attempt ?? 0) >= triesMax;
  return isTried ? undefined : wrong(`failed at attempt ${view?.attempt ?? attempts}: ${said}`);
}

/** The SDK makes the frame anew. */
function isSame(first: object, now: object, { task }: Life): boolean {
  if (task.reading.kind === "sdk") return isDeepStrictEqual(first, now);
  return JSON.stringify(first) === JSON.stringify(now);
}

function isLeft({ task, received }: Life): boolean {
  return task.reading.kind === "leaves" && task.id.startsWith("long-") && !received.isOver;
}

function mayBeCanceled({ life: { task, absence }, startsMs }: Evidence): boolean {
  const wasLeft = task.cancelAfterMs !== undefined || task.reading.kind === "leaves";
  return wasLeft || absence.mayHaveLost(startsMs, common.stream.disconnect_grace_ms);
}

function* textFaults(evidence: Evidence, state: Ended): Generator<Violation> {
  const { life, expected, again, flips, isMixed } = evidence;
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
  // Nobody can know a lie in a text that is continued and never made again.
  const mayHaveLies = flips && (state !== "done" || isMixed);
  if (state === "done" && !mayHaveLies && again.bytes !== expected) {
    yield {
      verdict: "mismatched",
      message: `differs from its undisturbed run${difference(again.bytes, expected)}`,
    };
  }
  const isTrue = expected.startsWith(received.bytes);
  if (life.isRefused) {
    // Who was told a lie by an engine has to be told that the text does not go on; nobody else may be.
    if (!flips || isTrue)
      yield { verdict: "mismatched", message: "was refused to a reader who had it right." };
    return;
  }
  if (!mayHaveLies && !isTrue) {
    yield { verdict: "mismatched", message: `was read differently${difference(received.bytes, expected)}` };
  }
  if (mayHaveLies) yield* lieFaults(evidence, state);
  // A lie that one life of the daemon wrote was not yet known to be one in the next.
  if (mayHaveLies && state !== "canceled" && !(isTrue && expected.startsWith(again.bytes))) return;
  if (!isSameStream(evidence, state)) {
    const message = `has other bytes now than its reader got${difference(received.bytes, again.bytes)}`;
    yield { verdict: "mismatched", message };
  }
}

function isSameStream({ life: { received }, again, isRemade }: Evidence, state: Ended): boolean {
  // Whoever comes after a cancel gets its last frame alone.
  if (state === "canceled") return again.tokens.length === 0;
  // A strict stream that is made again and does not get to its end leaves less than one reader had before.
  if (isRemade && state === "failed" && received.bytes.startsWith(again.bytes)) return true;
  if (received.isOver) return again.bytes === received.bytes;
  return again.bytes.startsWith(received.bytes);
}

/** An engine that lies gives one other token in an attempt, and all else as it should. */
function* lieFaults(evidence: Evidence, state: Ended): Generator<Violation> {
  const { life, expected, again, attempts } = evidence;
  const whole = new Received();
  whole.take(expected);
  if (state === "done" && again.tokens.length !== whole.tokens.length) {
    const message = `has ${again.tokens.length} tokens and not the ${whole.tokens.length} of its undisturbed run.`;
    yield { verdict: "mismatched", message };
  }
  for (const { tokens } of [life.received, again]) {
    const lies = tokens.filter((block, n) => dataOf(block) !== dataOf(whole.tokens[n] ?? "")).length;
    if (lies <= Math.max(attempts, triesMax)) continue;
    yield { verdict: "mismatched", message: `has ${lies} other tokens than its undisturbed run.` };
  }
}

/** Where two texts part, with a little of both. */
function difference(got: string, wanted: string): string {
  let at = 0;
  while (at < got.length && got[at] === wanted[at]) at += 1;
  const some = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 30), at + 60));
  return ` at byte ${at} of ${wanted.length}: ${some(got)} for ${some(wanted)}.`;
}

function* cancelFaults({ life }: Evidence, state: Ended): Generator<Violation> {
  const { canceled, received, task } = life;
  if (canceled === undefined) return;
  if (canceled.state === "waiting" || canceled.state === "running") {
    yield wrong(`was ${canceled.state} when its cancel had been answered.`);
  }
  if (canceled.state === "canceled" && state !== "canceled") {
    yield { verdict: "lost", message: `is ${state}, and was cancelled: the cancel was forgotten.` };
  }
  if (state !== "canceled") return;
  const late = canceled.afterwards.tokens.length;
  if (late > 0) yield wrong(`gave ${late} tokens to a reader who came after its cancel was answered.`);
  // A slow reader still has before it what was sent long ago.
  const more = received.tokens.length - canceled.tokens;
  if (more > 0 && task.reading.kind !== "slow") yield wrong(`gave ${more} tokens after its cancel.`);
}
