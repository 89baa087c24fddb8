// Everything that can happen, as plain JSON. Time, ids, sizes and verdicts come in here; the core asks
// nobody. Prompts and token texts never do. `nowMs` never goes back.

import type { ModelState, Task } from "@llama-orch/contract";
import type { DeclaredSpeed } from "./estimate/rates.ts";
import type { Answer, Ending, LostReason } from "./outcome.ts";
import type { Settings } from "./settings.ts";

export type Event =
  | Configured
  | TaskSubmitted
  | TaskCanceled
  | ReadersChanged
  | SessionDeleted
  | AttemptStarted
  | FirstToken
  | AttemptProgressed
  | AttemptStalled
  | AttemptEnded
  | ReplicaReported
  | ReplicaRemoved
  | DrainRequested
  | ReloadRequested
  | ReloadEnded
  | ModelChanged
  | NodeRegistered
  | NodeHeard
  | NodeDeregistered
  | StorageChanged
  | ShutdownBegan
  | Restarted
  | TimerFired;

export type EventType = Event["type"];

interface At {
  readonly seq: number;
  readonly nowMs: number;
}

export interface Configured extends At {
  readonly type: "Configured";
  readonly settings: Settings;
}

export interface TaskSubmitted extends At {
  readonly type: "TaskSubmitted";
  readonly jobId: string;
  readonly task: Task;
  /** Digest of all parsed fields, texts included: equal digests mean the same request. */
  readonly fingerprint: string;
  /** Who calls: the credential's fingerprint, else the address. */
  readonly client: string;
  /**
   * Length of the rendered prompt, and its tokens where the engine had to count them. Of several inputs those
   * of the longest, since each has a context to itself.
   */
  readonly promptBytes: number;
  readonly promptTokens?: number;
  /** Of several inputs what all of them are to an engine, at most or about; absent where there is but one. */
  readonly allTokens?: number;
  readonly bodyBytes: number;
  /** KV cache and scratch memory the task will need, where that can be told. */
  readonly memoryBytes?: number;
  readonly extensions?: readonly string[];
  /** What the catalog says the model needs; nothing is guessed where it says nothing. */
  readonly quant?: string;
  readonly computeCapability?: string;
  /** What a policy said, if one was asked. */
  readonly verdict?: Verdict;
  /** The answer that the store still has for this id, if the task ended a while ago. */
  readonly remembered?: Remembered;
}

export interface Verdict {
  readonly kind: "admit" | "reject" | "place";
  readonly reason?: string;
  readonly poolId?: string;
}

export interface Remembered {
  readonly fingerprint: string;
  readonly answer: Answer;
}

export interface TaskCanceled extends At {
  readonly type: "TaskCanceled";
  readonly tenantId: string;
  readonly taskId: string;
  /** Its admission never became safe: nobody was told of it, and its name is free again. */
  readonly withdrawn?: true;
}

export interface ReadersChanged extends At {
  readonly type: "ReadersChanged";
  readonly jobId: string;
  readonly readers: number;
}

export interface SessionDeleted extends At {
  readonly type: "SessionDeleted";
  readonly tenantId: string;
  readonly sessionId: string;
}

interface OfAttempt extends At {
  readonly jobId: string;
  readonly attempt: number;
}

/** The engine has taken the attempt. */
export interface AttemptStarted extends OfAttempt {
  readonly type: "AttemptStarted";
}

/** The first token of this attempt arrived, whether it was delivered or skipped as a repetition. */
export interface FirstToken extends OfAttempt {
  readonly type: "FirstToken";
  readonly cachedTokens: number;
}

/** At most once a second. `tokens` counts this attempt's tokens, delivered or skipped. */
export interface AttemptProgressed extends OfAttempt {
  readonly type: "AttemptProgressed";
  readonly tokens: number;
  readonly frames: number;
  readonly digest: string;
}

/** The engine has been silent for longer than the attempt allows. */
export interface AttemptStalled extends OfAttempt {
  readonly type: "AttemptStalled";
}

export interface AttemptEnded extends OfAttempt {
  readonly type: "AttemptEnded";
  readonly ending: Ending;
  /** Frames that readers may have seen, over all attempts. */
  readonly frames: number;
  /** Whether another engine could go on from exactly those frames. */
  readonly continuable: boolean;
  /** Tokens delivered over all attempts, and tokens this attempt made, skipped ones included. */
  readonly tokensOut: number;
  readonly attemptTokens: number;
  readonly promptTokens: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
}

export type ReplicaStatus =
  | "starting"
  | "loading"
  | "ready"
  | "backing_off"
  | "draining"
  | "failed"
  | "stopped";

/** All that is known of a replica; each report replaces the last. */
export interface ReplicaReported extends At {
  readonly type: "ReplicaReported";
  readonly poolId: string;
  readonly replicaId: string;
  readonly status: ReplicaStatus;
  /** Changes whenever the process does; slots of an older process are gone. */
  readonly epoch: number;
  readonly facts: ReplicaFacts;
  /** While it is not ready: when it is expected to be. */
  readonly readyInMs?: number;
  readonly lastError?: string;
  /** Why it is no longer ready. */
  readonly reason?: LostReason;
}

export interface ReplicaFacts {
  readonly nodeId: string | null;
  readonly zone?: string;
  readonly engineVersion: string | null;
  readonly modelDigest: string | null;
  readonly quant?: string;
  readonly ctxMax: number;
  readonly slotsTotal: number;
  /** Slots that somebody else is using. */
  readonly slotsElsewhere: number;
  readonly vramFreeBytes: number;
  readonly features: readonly string[];
  readonly computeCapability?: string;
  /** Equal on replicas whose arithmetic is the same to the last bit; counts on strict pools. */
  readonly computeFingerprint?: string;
  /** NUMA node, PCIe or NVLink group: breaks ties. */
  readonly topology?: string;
  readonly speed: DeclaredSpeed;
}

export interface ReplicaRemoved extends At {
  readonly type: "ReplicaRemoved";
  readonly poolId: string;
  readonly replicaId: string;
  readonly reason: LostReason;
}

export interface DrainRequested extends At {
  readonly type: "DrainRequested";
  readonly poolId: string;
  readonly deadlineMs: number;
}

export interface ReloadRequested extends At {
  readonly type: "ReloadRequested";
  readonly poolId: string;
  readonly modelRef: string;
  readonly drainDeadlineMs: number;
}

/** The pool serves the new model, or again the old one. */
export interface ReloadEnded extends At {
  readonly type: "ReloadEnded";
  readonly poolId: string;
  readonly ok: boolean;
  readonly engineVersion: string | null;
  readonly error?: string;
}

export interface ModelChanged extends At {
  readonly type: "ModelChanged";
  readonly modelRef: string;
  readonly digest: string | null;
  readonly state: ModelState;
  /** Set when the trust policy refuses the model. */
  readonly untrusted?: string;
}

export interface NodeRegistered extends At {
  readonly type: "NodeRegistered";
  readonly nodeId: string;
  readonly address: string;
  readonly zone?: string;
}

export interface NodeHeard extends At {
  readonly type: "NodeHeard";
  readonly nodeId: string;
}

export interface NodeDeregistered extends At {
  readonly type: "NodeDeregistered";
  readonly nodeId: string;
}

export interface StorageChanged extends At {
  readonly type: "StorageChanged";
  readonly full: boolean;
}

export interface ShutdownBegan extends At {
  readonly type: "ShutdownBegan";
}

/** The daemon is back with a restored state; every reader has to connect again. */
export interface Restarted extends At {
  readonly type: "Restarted";
}

export interface TimerFired extends At {
  readonly type: "TimerFired";
  readonly timer: string;
}
