// One attempt on its way from the engine into its task's stream. It alone talks to the engine of a running
// attempt: it delivers tokens once per batch, compares what a replay repeats, watches for silence and used-up
// time, and reports how the attempt ended. Whether there will be another is the core's business.

import assert, { AssertionError } from "node:assert/strict";
import type { ResolvedSampling } from "@llama-orch/contract";
import {
  type AttemptEnded,
  type AttemptProgressed,
  type AttemptStalled,
  type AttemptStarted,
  type DispatchAttempt,
  type Ending,
  type FirstToken,
  overdue,
} from "@llama-orch/core";
import {
  type Adapter,
  type AttemptEnd,
  type AttemptRequest,
  EngineError,
  type EngineFrame,
  type TokenBatch,
} from "@llama-orch/engines/adapter";
import type { Clock, Timer } from "../clock.ts";
import type { Replayed } from "./replayed.ts";
import type { TaskStream } from "./task-stream.ts";

type Unstamped<E> = Omit<E, "seq" | "nowMs">;

export type AttemptReport =
  | Unstamped<AttemptStarted>
  | Unstamped<FirstToken>
  | Unstamped<AttemptProgressed>
  | Unstamped<AttemptStalled>
  | Unstamped<AttemptEnded>;

export interface RelayOptions {
  readonly adapter: Adapter;
  readonly request: AttemptRequest;
  /** Aborted by AbortAttempt. */
  readonly signal: AbortSignal;
  readonly stream: TaskStream;
  readonly dispatch: Pick<DispatchAttempt, "jobId" | "attempt" | "resume" | "limits">;
  /**
   * Nothing is delivered before: another process must know where this was sent, or it could not tell that
   * readers have something of it. The engine works meanwhile. False where that cannot be kept.
   */
  readonly written: Promise<boolean>;
  report(report: AttemptReport): void;
  /** Once per batch: tokens that became visible, repeated ones not counted again. */
  onTokens(count: number): void;
  readonly clock: Clock;
}

/** An engine that does not answer a closed connection is given up after this long. */
const giveUpMs = 1500;

const progressEveryMs = 1000;

/**
 * Resolves when the attempt is over, after its last report, which is AttemptEnded. Rejects on a bug alone,
 * and then without that report.
 */
export async function relay(options: RelayOptions): Promise<void> {
  const attempt = new RunningAttempt(options);
  try {
    const ended = await attempt.run();
    // Of a task that the disk refuses there is nothing to say: it never was.
    await options.written;
    options.report(ended);
  } finally {
    attempt.close();
  }
}

const isOver = "The attempt is over.";

class RunningAttempt {
  readonly #o: RelayOptions;
  readonly #engine = new AbortController();
  /** Later by the time that it waited for the disk: the engine has to answer for its own alone. */
  #startedAtMs: number;
  readonly #tokensBefore: number;
  /** Set until all that was delivered before has been made again. */
  #replayed: Replayed | undefined;
  #firstAtMs: number | undefined;
  #lastAtMs: number | undefined;
  #progressedAtMs: number;
  #tokens = 0;
  #end: AttemptEnd | undefined;
  /** What it ends with, decided here and not by the engine. */
  #verdict: Ending | undefined;
  #isOver = false;
  #isWritten = false;
  #watch: Timer | undefined;
  #patience: Timer | undefined;
  #giveUp: (ending: Ending) => void = () => {};

  constructor(o: RelayOptions) {
    this.#o = o;
    const { stream, dispatch, clock } = o;
    const isFirst = dispatch.resume === null;
    assert(
      !isFirst || stream.promisedFrames === 0,
      `Task ${dispatch.jobId} starts anew after ${stream.promisedFrames} frames.`,
    );
    this.#startedAtMs = clock.nowMs();
    this.#progressedAtMs = this.#startedAtMs;
    this.#tokensBefore = dispatch.resume === "continued" ? stream.tokensOut : 0;
    if (dispatch.resume === "replayed") this.#replayed = stream.replay();
  }

  async run(): Promise<AttemptReport> {
    const { signal, report, dispatch } = this.#o;
    const { jobId, attempt } = dispatch;
    if (signal.aborted) return this.#ended({ kind: "aborted" });
    signal.addEventListener("abort", this.#onAbort);
    report({ type: "AttemptStarted", jobId, attempt });
    this.#rewatch();
    const givenUp = new Promise<Ending>((resolve) => {
      this.#giveUp = resolve;
    });
    return this.#ended(await Promise.race([this.#consume(), givenUp]));
  }

  /** Leaves no timer, no listener and no connection behind, whatever the engine is doing. */
  close(): void {
    this.#isOver = true;
    this.#watch?.cancel();
    this.#patience?.cancel();
    this.#o.signal.removeEventListener("abort", this.#onAbort);
    // A reason of its own, since without one every attempt would end by making an error with its stack.
    this.#engine.abort(isOver);
  }

  #onAbort = (): void => this.#stop({ kind: "aborted" });

  #stop(verdict: Ending): void {
    if (this.#verdict !== undefined || this.#end !== undefined) return;
    this.#verdict = verdict;
    this.#waitNoLonger(verdict);
    this.#engine.abort();
  }

  #waitNoLonger(ending: Ending): void {
    this.#watch?.cancel();
    this.#patience = this.#o.clock.after(giveUpMs, () => this.#giveUp(ending));
  }

  async #consume(): Promise<Ending> {
    const { adapter, request } = this.#o;
    try {
      for await (const batch of adapter.submit(request, this.#engine.signal)) {
        if (!this.#isWritten) await this.#untilWritten();
        if (this.#isOver) break;
        if (this.#verdict === undefined) this.#take(batch);
      }
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      if (this.#verdict !== undefined) return this.#verdict;
      return this.#end === undefined ? endingOf(error) : this.#judge();
    }
    if (this.#verdict !== undefined) return this.#verdict;
    if (this.#end === undefined) return lost("reset", "The engine's stream ended before its last batch.");
    return this.#judge();
  }

  /** The engine has been heard, and what it says next waits for the disk, not for the engine. */
  async #untilWritten(): Promise<void> {
    const { clock, written } = this.#o;
    const heardAtMs = clock.nowMs();
    this.#watch?.cancel();
    this.#isWritten = await written;
    this.#startedAtMs += clock.nowMs() - heardAtMs;
    if (this.#isWritten) this.#rewatch();
    else this.#stop(unwritten);
  }

  /** A replay that ends early has made other text, too. */
  #judge(): Ending {
    const isShort = this.#replayed?.isComplete === false || this.#o.stream.isOwing;
    return isShort ? { kind: "mismatch" } : { kind: "done" };
  }

  #take(batch: TokenBatch): void {
    const { clock, stream } = this.#o;
    const nowMs = clock.nowMs();
    if (batch.tokens > this.#tokens) this.#lastAtMs = nowMs;
    this.#tokens = batch.tokens;
    if (!this.#deliver(batch.frames)) return this.#stop({ kind: "mismatch" });
    if (stream.isOverfull) return this.#stop(overfull);
    if (batch.end !== undefined) this.#finish(batch.end);
    if (this.#lastAtMs !== undefined && this.#firstAtMs === undefined) {
      this.#first(nowMs, batch.end?.cachedTokens ?? 0);
    }
    if (nowMs - this.#progressedAtMs < progressEveryMs) return;
    this.#progressedAtMs = nowMs;
    const { jobId, attempt } = this.#o.dispatch;
    const { promisedFrames: frames, promisedDigest: digest } = stream;
    this.#o.report({ type: "AttemptProgressed", jobId, attempt, tokens: this.#tokens, frames, digest });
  }

  /** False where a replay differs from what was delivered. */
  #deliver(frames: readonly EngineFrame[]): boolean {
    let fresh = frames;
    if (this.#replayed !== undefined) {
      const compared = this.#replayed.take(frames);
      if (compared.verdict === "differs") return false;
      fresh = compared.fresh;
      if (fresh.length > 0) this.#replayed = undefined;
    }
    return fresh.length === 0 || this.#count(fresh);
  }

  /** False where they are not what an earlier process has promised. */
  #count(fresh: readonly EngineFrame[]): boolean {
    const { stream, onTokens } = this.#o;
    const before = stream.tokensOut;
    const wasOwing = stream.isOwing;
    if (!stream.tokens(fresh, Math.max(before, this.#tokensBefore + this.#tokens))) return false;
    if (stream.tokensOut > before) onTokens(stream.tokensOut - before);
    // What was promised is made again whatever it takes; from here on time counts.
    if (wasOwing && !stream.isOwing) this.#rewatch();
    return true;
  }

  /** Tokens after the last one with text were delivered as well: there was nothing to see. */
  #finish(end: AttemptEnd): void {
    this.#end = end;
    if (end.result !== undefined) this.#o.stream.answered(end.result);
    const ending = this.#judge();
    if (ending.kind === "done") this.#count([]);
    this.#waitNoLonger(ending);
  }

  /** Reported after its delivery, so that no metrics frame can come before the first token. */
  #first(nowMs: number, cachedTokens: number): void {
    const { jobId, attempt } = this.#o.dispatch;
    this.#firstAtMs = nowMs;
    this.#rewatch();
    this.#o.report({ type: "FirstToken", jobId, attempt, cachedTokens });
  }

  /** Looks again when the attempt could be overdue at the earliest. */
  #rewatch(): void {
    this.#watch?.cancel();
    if (this.#verdict !== undefined || this.#end !== undefined) return;
    const { clock, dispatch, stream } = this.#o;
    const { firstTokenMs, idleMs, wallMs, budgetMs } = dispatch.limits;
    const startedAtMs = this.#startedAtMs;
    const silentAtMs = this.#lastAtMs === undefined ? startedAtMs + firstTokenMs : this.#lastAtMs + idleMs;
    const wallAtMs = startedAtMs + (wallMs ?? Number.POSITIVE_INFINITY);
    const counted = stream.isOwing ? undefined : this.#firstAtMs;
    const spentAtMs = (counted ?? Number.POSITIVE_INFINITY) + (budgetMs ?? Number.POSITIVE_INFINITY);
    const waitMs = Math.max(1, Math.min(silentAtMs, wallAtMs, spentAtMs) - clock.nowMs());
    this.#watch = clock.after(waitMs, () => this.#look());
  }

  #look(): void {
    const { clock, dispatch, report, stream } = this.#o;
    const { jobId, attempt, limits } = dispatch;
    const nowMs = clock.nowMs();
    const budgetMs = limits.budgetMs ?? Number.POSITIVE_INFINITY;
    if (this.#firstAtMs !== undefined && nowMs - this.#firstAtMs >= budgetMs && !stream.isOwing) {
      return this.#stop({ kind: "done" });
    }
    const watched = { startedAtMs: this.#startedAtMs, lastTokenAtMs: this.#lastAtMs, nowMs };
    if (overdue(watched, limits) === undefined) this.#rewatch();
    else report({ type: "AttemptStalled", jobId, attempt });
  }

  #ended(ending: Ending): AttemptReport {
    const { stream, dispatch, clock, request } = this.#o;
    const nowMs = clock.nowMs();
    const firstAtMs = this.#firstAtMs ?? nowMs;
    const decodeMs = Math.min(this.#end?.decodeMs ?? nowMs - firstAtMs, dispatch.limits.budgetMs ?? Infinity);
    return {
      type: "AttemptEnded",
      jobId: dispatch.jobId,
      attempt: dispatch.attempt,
      ending,
      frames: stream.promisedFrames,
      continuable: continuable(stream, request.sampling),
      tokensOut: stream.tokensOut,
      attemptTokens: this.#tokens,
      promptTokens: this.#end?.promptTokens ?? 0,
      prefillMs: Math.round(this.#end?.prefillMs ?? firstAtMs - this.#startedAtMs),
      decodeMs: Math.round(decodeMs),
    };
  }
}

/**
 * Whether what readers have is all that another engine must know to go on with exactly it. A grammar and a
 * stop string in the making are states of the engine that ids do not carry over.
 */
export function continuable(
  stream: Pick<TaskStream, "hasExactIds" | "tail">,
  { stop, json_schema }: Pick<ResolvedSampling, "stop" | "json_schema">,
): boolean {
  if (!stream.hasExactIds || json_schema !== undefined) return false;
  const longest = Math.max(0, ...stop.map((one) => one.length));
  if (longest === 0) return true;
  const tail = stream.tail(longest - 1);
  return !stop.some((one) => isPartlyAtEnd(one, tail));
}

function isPartlyAtEnd(stop: string, text: string): boolean {
  for (let length = Math.min(stop.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return true;
  }
  return false;
}

function endingOf(error: unknown): Ending {
  if (!(error instanceof EngineError)) return lost("reset", `The adapter failed: ${String(error)}`);
  return { ...error.fault, message: error.message };
}

/**
 * Nobody's fault: the task is sent again once its replica has been heard of, so that a store that refuses for
 * long is asked as often as that, and no more.
 */
const unwritten: Ending = {
  kind: "lost",
  reason: "restart",
  message: "The store cannot keep where the task was sent.",
};

/** Nothing of it is cut or left out silently: the task ends, and says why. */
const overfull: Ending = {
  kind: "refused",
  code: "INTERNAL",
  message:
    "The disk is full and the text of this stream fills its memory. Make room, then send the task again.",
};

function lost(reason: "reset", message: string): Ending {
  return { kind: "lost", reason, message };
}
