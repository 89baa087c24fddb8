// The port to an engine: how a running one is asked, whatever it is. An adapter speaks one engine's wire and
// nothing else: it never retries an attempt, never queues, and remembers nothing between two attempts.
// Starting and stopping engines is the other door of this room.

import type { EngineKind, ResolvedSampling, Result, TaskBody, Workload } from "@llama-orch/contract";

export interface Adapter {
  /** `live`: something answers. `ready`: it takes attempts now. Never throws; a dead engine is neither. */
  health(signal: AbortSignal): Promise<EngineHealth>;
  /** What the running engine says of itself. @throws EngineError when it cannot be had */
  props(signal: AbortSignal): Promise<EngineProps>;
  /**
   * Runs one attempt. Aborting the signal, or leaving the loop, closes the connection, and the engine stops
   * within a token. The batch with `end` is the last; a stream that breaks before it throws.
   * @throws EngineError, never anything else but the signal's own reason
   */
  submit(attempt: AttemptRequest, signal: AbortSignal): AsyncIterable<TokenBatch>;
  /**
   * Tokens of the prompt as the engine will see it, template included. Of several inputs those of the
   * longest, behind the query where there is one, since each is read alone. @throws EngineError
   */
  countTokens(body: TaskBody, signal: AbortSignal): Promise<number>;
  /** Closes idle connections; attempts that run are not its business. */
  close(): Promise<void>;
}

/** Where an engine listens and how it is entered. */
export interface EngineAddress {
  readonly engine: EngineKind;
  readonly url: string;
  readonly apiKey?: string;
}

export interface EngineHealth {
  readonly live: boolean;
  readonly ready: boolean;
  /** What was in the way of an engine that is not live; for a person, and without a secret. */
  readonly error?: string;
}

export interface EngineProps {
  readonly engineVersion: string;
  readonly slotsTotal: number;
  /** Slots at work now; absent where the engine does not tell. */
  readonly slotsBusy?: number;
  readonly ctxMax: number;
  /** Workloads and abilities: `completion`, `embedding`, `rerank`, `interruptible_decode`, `json_schema`. */
  readonly features: readonly string[];
  /** sha256 of the model file, as `sha256:<hex>`, where the engine knows it. */
  readonly modelDigest?: string;
  readonly quant?: string;
  /** Equal exactly where arithmetic is equal to the last bit; absent where the engine cannot tell. */
  readonly computeFingerprint?: string;
  readonly compute?: "cuda" | "cpu";
}

export interface AttemptRequest {
  readonly workload: Workload;
  readonly body: TaskBody;
  readonly sampling: ResolvedSampling;
  readonly seed: number;
  /** At least 1. */
  readonly maxTokens: number;
  /** Whether caches of earlier prompts may be used; never on a strict pool. */
  readonly reuseCache: boolean;
  /** Ids of tokens that readers have: the attempt goes on after them as if they were part of the prompt. */
  readonly continueFrom?: readonly number[];
  /** The wait for the first token and then between two, after which the connection is given up. */
  readonly firstTokenMs: number;
  readonly idleMs: number;
}

/** What one network chunk brought. */
export interface TokenBatch {
  /** Only tokens with text make a frame; one may stand for several ids. */
  readonly frames: readonly EngineFrame[];
  /** Tokens made so far by this attempt, those without text included. */
  readonly tokens: number;
  readonly end?: AttemptEnd;
}

export interface EngineFrame {
  readonly t: string;
  /** All ids since the last frame, in order; absent as soon as the engine has left one out. */
  readonly ids?: readonly number[];
}

export interface AttemptEnd {
  readonly why: "eos" | "stop" | "limit" | "context_full";
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
  /** What an embedding or a rerank answers with. */
  readonly result?: Result;
}
