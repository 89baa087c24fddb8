// A fake relay: it starts attempts as it is told, keeps the delivered frames of each task, compares and
// skips what a replay repeats, drops what comes after a closed gate, watches for silence, and reports how
// attempts end.

import {
  type AttemptEnded,
  type DispatchAttempt,
  type Ending,
  overdue,
  type SurvivingTask,
} from "@llama-orch/core";
import type { Clock, Planned } from "./clock.ts";
import type { Engine, Failure, Listener, Order } from "./engine.ts";
import type { Link } from "./link.ts";
import { hash } from "./random.ts";
import { extend, type Prompt, textDigest } from "./text.ts";

/** Everything that was delivered of one task. */
export interface Stream {
  readonly jobId: string;
  readonly prompt: Prompt;
  readonly promptTokens: number;
  readonly frames: string[];
  /** Which attempt made each frame. */
  readonly by: number[];
  prefix: number;
  /** Tokens that the delivered frames stand for. */
  tokensOut: number;
  gateClosed: boolean;
  /**
   * What engines have delivered, and how; all that a strict stream may be made of is one kind of
   * arithmetic.
   */
  readonly computes: Set<number>;
  strict: boolean;
  /** Its budget of time was used up before its end. */
  cutShort: boolean;
}

interface Attempt {
  readonly key: string;
  readonly stream: Stream;
  readonly dispatch: DispatchAttempt;
  readonly engine: Engine | undefined;
  readonly link: Link;
  readonly startedAtMs: number;
  readonly tokensBefore: number;
  firstAtMs: number | undefined;
  lastAtMs: number | undefined;
  tokens: number;
  position: number;
  phase: "open" | "closing" | "ended";
  /** What it ends with once the engine has let go, when that is not the engine's word. */
  verdict: Ending | undefined;
  progressedAtMs: number;
  watch: Planned | undefined;
  listener: Listener | undefined;
}

export type Say = (
  body:
    | Omit<AttemptEnded, "seq" | "nowMs">
    | { readonly type: "AttemptStarted" | "AttemptStalled"; readonly jobId: string; readonly attempt: number }
    | {
        readonly type: "FirstToken";
        readonly jobId: string;
        readonly attempt: number;
        readonly cachedTokens: number;
      }
    | {
        readonly type: "AttemptProgressed";
        readonly jobId: string;
        readonly attempt: number;
        readonly tokens: number;
        readonly frames: number;
        readonly digest: string;
      },
) => void;

export interface RelayOptions {
  readonly clock: Clock;
  readonly say: Say;
  /** The engine process of a dispatch, if it is the one that was meant, and the way there. */
  readonly find: (dispatch: DispatchAttempt) => { readonly engine: Engine | undefined; readonly link: Link };
  readonly onDelivered: (stream: Stream) => void;
}

/** An engine that does not answer a closed connection is given up after this long. */
const giveUpMs = 1500;

/** One report in so many comes a second time, long after the first. */
const repeatedOf = 5;

export class Relay {
  readonly #options: RelayOptions;
  readonly streams = new Map<string, Stream>();
  #attempts = new Map<string, Attempt>();

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  open(jobId: string, prompt: Prompt, promptTokens: number): void {
    const nothing = {
      frames: [],
      by: [],
      prefix: 0,
      tokensOut: 0,
      gateClosed: false,
      strict: true,
      cutShort: false,
    };
    this.streams.set(jobId, { jobId, prompt, promptTokens, ...nothing, computes: new Set() });
  }

  start(dispatch: DispatchAttempt): void {
    const { clock, find } = this.#options;
    const stream = this.streams.get(dispatch.jobId) as Stream;
    const { engine, link } = find(dispatch);
    const continued = dispatch.resume === "continued";
    if (dispatch.resume === null && stream.frames.length > 0) {
      throw new Error(`Task ${dispatch.jobId} starts anew after ${stream.frames.length} delivered frames.`);
    }
    const attempt: Attempt = {
      key: `${dispatch.jobId}#${dispatch.attempt}`,
      stream,
      dispatch,
      engine,
      link,
      startedAtMs: clock.nowMs,
      tokensBefore: continued ? stream.tokensOut : 0,
      firstAtMs: undefined,
      lastAtMs: undefined,
      tokens: 0,
      position: continued ? stream.frames.length : 0,
      phase: "open",
      verdict: undefined,
      progressedAtMs: clock.nowMs,
      watch: undefined,
      listener: undefined,
    };
    this.#attempts.set(attempt.key, attempt);
    const listener = this.#listenerOf(attempt);
    attempt.listener = listener;
    const order: Order = {
      prompt: stream.prompt,
      promptTokens: stream.promptTokens,
      attempt: dispatch.attempt,
      prefix: continued ? textDigest(stream.frames) : 0,
      tokensBefore: attempt.tokensBefore,
      maxTokens: dispatch.limits.maxTokens,
      continued,
      listener,
    };
    link.send("there", () => {
      if (engine === undefined) link.send("back", () => listener.failed({ kind: "lost", reason: "reset" }));
      else engine.begin(attempt.key, order);
    });
    this.#watch(attempt);
  }

  #listenerOf(attempt: Attempt): Listener {
    const { say } = this.#options;
    const { jobId, attempt: number } = attempt.dispatch;
    return {
      taken: () => {
        if (attempt.phase !== "ended") say({ type: "AttemptStarted", jobId, attempt: number });
      },
      tokens: (texts) => this.#tokens(attempt, texts),
      done: () => this.#end(attempt, attempt.verdict ?? { kind: "done" }),
      failed: (how) => this.#end(attempt, attempt.verdict ?? endingOf(how)),
    };
  }

  #tokens(attempt: Attempt, texts: readonly string[]): void {
    const { clock, say } = this.#options;
    const { jobId, attempt: number } = attempt.dispatch;
    if (attempt.phase === "ended" || attempt.verdict !== undefined) return;
    attempt.lastAtMs = clock.nowMs;
    if (attempt.firstAtMs === undefined) {
      attempt.firstAtMs = clock.nowMs;
      say({ type: "FirstToken", jobId, attempt: number, cachedTokens: attempt.dispatch.reuseCache ? 1 : 0 });
      clock.cancel(attempt.watch);
      if (attempt.phase === "open") this.#watch(attempt);
    }
    for (const text of texts) if (!this.#token(attempt, text)) return;
    if (clock.nowMs - attempt.progressedAtMs < 1000 || (attempt.phase as string) === "ended") return;
    attempt.progressedAtMs = clock.nowMs;
    const { frames, prefix } = attempt.stream;
    const digest = prefix.toString(16);
    say({
      type: "AttemptProgressed",
      jobId,
      attempt: number,
      tokens: attempt.tokens,
      frames: frames.length,
      digest,
    });
  }

  /** False where the attempt goes no further. */
  #token(attempt: Attempt, text: string): boolean {
    const { stream } = attempt;
    attempt.tokens++;
    if (text === "") return true;
    const index = attempt.position++;
    const delivered = stream.frames[index];
    if (delivered !== undefined && delivered !== text) {
      this.#close(attempt, { kind: "mismatch" });
      return false;
    }
    if (delivered !== undefined || stream.gateClosed) return true;
    stream.frames.push(text);
    stream.by.push(attempt.dispatch.attempt);
    stream.prefix = extend(stream.prefix, text);
    stream.tokensOut = attempt.tokensBefore + attempt.tokens;
    stream.computes.add(attempt.engine?.compute ?? 0);
    if (attempt.engine?.strict !== true || attempt.dispatch.resume === "continued") stream.strict = false;
    this.#options.onDelivered(stream);
    return true;
  }

  closeGate(jobId: string): void {
    const stream = this.streams.get(jobId);
    if (stream !== undefined) stream.gateClosed = true;
  }

  abort(jobId: string, number: number): void {
    const attempt = this.#attempts.get(`${jobId}#${number}`);
    if (attempt !== undefined) this.#close(attempt, undefined);
  }

  #close(attempt: Attempt, verdict: Ending | undefined): void {
    if (attempt.phase === "ended") return;
    attempt.verdict ??= verdict;
    if (attempt.phase === "closing") return;
    attempt.phase = "closing";
    const { link, engine, key, listener } = attempt;
    link.send("there", () => engine?.close(key, listener as Listener));
    this.#options.clock.after(giveUpMs, () => this.#end(attempt, attempt.verdict ?? { kind: "aborted" }));
  }

  #end(attempt: Attempt, ending: Ending): void {
    if (attempt.phase === "ended") return;
    attempt.phase = "ended";
    this.#options.clock.cancel(attempt.watch);
    this.#attempts.delete(attempt.key);
    const report = this.#report(attempt, ending);
    this.#options.say(report);
    if (hash(attempt.key) % repeatedOf === 0) {
      this.#options.clock.after(giveUpMs, () => this.#options.say(report));
    }
  }

  #report(attempt: Attempt, ending: Ending): Omit<AttemptEnded, "seq" | "nowMs"> {
    const { stream, dispatch, startedAtMs, firstAtMs, tokens } = attempt;
    const { nowMs } = this.#options.clock;
    const decodeMs = firstAtMs === undefined ? 0 : nowMs - firstAtMs;
    // A replay whose budget ends early has made less than was delivered before.
    if (ending.kind === "done") stream.tokensOut = Math.max(stream.tokensOut, attempt.tokensBefore + tokens);
    return {
      type: "AttemptEnded",
      jobId: dispatch.jobId,
      attempt: dispatch.attempt,
      ending,
      frames: stream.frames.length,
      continuable: stream.prompt.seed % 16 !== 0,
      tokensOut: stream.tokensOut,
      attemptTokens: tokens,
      promptTokens: stream.promptTokens,
      prefillMs: (firstAtMs ?? nowMs) - startedAtMs,
      decodeMs: Math.min(decodeMs, dispatch.limits.budgetMs ?? Infinity),
    };
  }

  /**
   * Looks at an attempt when it could be overdue at the earliest; a budget of time that is used up ends
   * it.
   */
  #watch(attempt: Attempt): void {
    const { clock, say } = this.#options;
    const { limits, jobId, attempt: number } = attempt.dispatch;
    const { startedAtMs, lastAtMs, firstAtMs } = attempt;
    const silentAtMs = lastAtMs === undefined ? startedAtMs + limits.firstTokenMs : lastAtMs + limits.idleMs;
    const wallAtMs = startedAtMs + (limits.wallMs ?? Infinity);
    const spentAtMs = (firstAtMs ?? clock.nowMs + 1) + (limits.budgetMs ?? Infinity);
    const atMs = Math.min(silentAtMs, wallAtMs, spentAtMs);
    if (atMs === Infinity) return;
    attempt.watch = clock.at(Math.max(atMs, clock.nowMs + 1), () => {
      if (attempt.phase !== "open") return;
      const { nowMs } = clock;
      if (attempt.firstAtMs !== undefined && nowMs - attempt.firstAtMs >= (limits.budgetMs ?? Infinity)) {
        attempt.stream.cutShort = true;
        return this.#close(attempt, { kind: "done" });
      }
      if (overdue({ startedAtMs, lastTokenAtMs: attempt.lastAtMs, nowMs }, limits) !== undefined) {
        return say({ type: "AttemptStalled", jobId, attempt: number });
      }
      this.#watch(attempt);
    });
  }

  /** The process that held all connections is gone; engines see them closed. */
  die(): void {
    for (const attempt of this.#attempts.values()) {
      attempt.phase = "ended";
      this.#options.clock.cancel(attempt.watch);
      const { link, engine, key, listener } = attempt;
      link.send("there", () => engine?.close(key, listener as Listener));
    }
    this.#attempts = new Map();
  }

  /**
   * Another process takes a stream over, knowing no more of it than was written down. What readers have stays
   * as it is, since they compare; where nobody has anything, it begins anew.
   */
  takeOver({ jobId, sentTo, frames, tokensOut, wasRead }: SurvivingTask): void {
    const stream = this.streams.get(jobId) as Stream;
    if (sentTo?.determinism !== "strict") return;
    stream.tokensOut = tokensOut;
    if (wasRead || frames > 0) return;
    stream.frames.length = 0;
    stream.by.length = 0;
    stream.prefix = 0;
    stream.computes.clear();
  }

  /** What a restarted process reports of an attempt that its predecessor was running. */
  lostWithProcess(jobId: string, attempt: number, known?: number): Omit<AttemptEnded, "seq" | "nowMs"> {
    const stream = this.streams.get(jobId) as Stream;
    return {
      type: "AttemptEnded",
      jobId,
      attempt,
      ending: { kind: "lost", reason: "restart", message: "The orchestrator was restarted." },
      frames: known ?? stream.frames.length,
      continuable: stream.prompt.seed % 16 !== 0,
      tokensOut: stream.tokensOut,
      attemptTokens: 0,
      promptTokens: stream.promptTokens,
      prefillMs: 0,
      decodeMs: 0,
    };
  }
}

function endingOf(how: Failure): Ending {
  switch (how.kind) {
    case "closed":
      return { kind: "aborted" };
    case "refused":
      return { kind: "refused", code: "INVALID_PARAMS", message: "The engine cannot do that." };
    case "lost":
      return { kind: "lost", reason: how.reason, message: `The engine was lost: ${how.reason}.` };
    default:
      return how satisfies never;
  }
}
