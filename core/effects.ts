// Everything the core may want, as plain JSON. Effects are performed in their order, after what they record
// is durable; a closed gate is the one that is performed before its caller yields.

import type { ResumeKind, SamplerProfile } from "@llama-orch/contract";
import type { AbortReason, Answer, Outcome, Refusal } from "./outcome.ts";

export type Effect =
  | AcceptTask
  | RefuseTask
  | RepeatAnswer
  | DispatchAttempt
  | CloseGate
  | AbortAttempt
  | EndTask
  | DrainPool
  | EndDrain
  | SwapModel
  | AnswerReload
  | SetTimer
  | ClearTimer
  | Note;

export type EffectType = Effect["type"];

export interface BudgetView {
  readonly tokens: number;
  readonly timeMs: number;
  readonly cost: number;
}

export interface AcceptTask {
  readonly type: "AcceptTask";
  readonly jobId: string;
  readonly tenantId: string;
  readonly taskId: string;
  readonly poolId: string;
  readonly answer: Answer;
  readonly budget: BudgetView;
  /** Where sampling comes from when the request leaves it open; fixed here for all attempts. */
  readonly samplerProfile: SamplerProfile;
}

export interface RefuseTask extends Refusal {
  readonly type: "RefuseTask";
  readonly tenantId: string;
  readonly taskId: string;
}

/** The same request came again: give it the first answer and follow the first job. */
export interface RepeatAnswer {
  readonly type: "RepeatAnswer";
  readonly jobId: string;
  readonly answer: Answer;
}

export interface DispatchAttempt {
  readonly type: "DispatchAttempt";
  readonly jobId: string;
  readonly attempt: number;
  readonly poolId: string;
  readonly replicaId: string;
  readonly epoch: number;
  readonly nodeId: string | null;
  /** How delivered frames are treated: compared and skipped, or taken as the beginning. */
  readonly resume: ResumeKind | null;
  readonly preempted: boolean;
  readonly limits: {
    readonly maxTokens: number;
    readonly firstTokenMs: number;
    readonly idleMs: number;
    readonly wallMs: number | null;
    /** Engine time after which the attempt is over because its budget is; null where none is set. */
    readonly budgetMs: number | null;
  };
  /** On a task's first attempt: how long it waited, and how far that was from what it had been told. */
  readonly waited: { readonly ms: number; readonly predictionErrorMs: number } | null;
  readonly reuseCache: boolean;
  readonly decision: Decision;
}

/** Why this replica: the decision log of a placement. */
export interface Decision {
  readonly candidatesTotal: number;
  readonly candidatesFeasible: number;
  readonly filters: readonly string[];
  readonly tieBreakers: readonly string[];
  readonly pinned: boolean;
  readonly fallback: boolean;
  readonly affinity: boolean;
}

export interface CloseGate {
  readonly type: "CloseGate";
  readonly jobId: string;
}

export interface AbortAttempt {
  readonly type: "AbortAttempt";
  readonly jobId: string;
  readonly attempt: number;
  readonly reason: AbortReason;
}

export interface EndTask {
  readonly type: "EndTask";
  readonly jobId: string;
  readonly tenantId: string;
  readonly taskId: string;
  readonly poolId: string;
  readonly replicaId: string | null;
  readonly attempts: number;
  readonly outcome: Outcome;
  readonly onTime: boolean;
  readonly budget: BudgetView;
}

/** The pool takes no more work; to be recorded before the caller hears of it. */
export interface DrainPool {
  readonly type: "DrainPool";
  readonly poolId: string;
  readonly deadlineAtMs: number;
}

export interface EndDrain {
  readonly type: "EndDrain";
  readonly poolId: string;
  readonly forceStopped: boolean;
  readonly durationMs: number;
  readonly finalLeaseCount: number;
}

/** The pool is empty; load the other model, keep the old one within reach. */
export interface SwapModel {
  readonly type: "SwapModel";
  readonly poolId: string;
  readonly fromModelRef: string;
  readonly toModelRef: string;
}

export interface AnswerReload {
  readonly type: "AnswerReload";
  readonly poolId: string;
  readonly ok: boolean;
  readonly modelRef: string;
  readonly engineVersion: string | null;
  readonly durationMs: number;
  readonly error?: string;
}

/** A timer that is set again moves. */
export interface SetTimer {
  readonly type: "SetTimer";
  readonly timer: string;
  readonly atMs: number;
}

export interface ClearTimer {
  readonly type: "ClearTimer";
  readonly timer: string;
}

/** Something a person or a metric wants to know; nothing depends on it. */
export interface Note {
  readonly type: "Note";
  readonly about: NoteAbout;
  readonly poolId?: string;
  readonly jobId?: string;
  readonly label?: string;
}

export type NoteAbout =
  | "backpressure"
  | "attempt-lost"
  | "preempted-soft"
  | "preempted-hard"
  | "resumed"
  | "replay-mismatch"
  | "breaker-opened"
  | "breaker-closed"
  | "class-shed"
  | "class-restored"
  | "slo-frozen"
  | "node-online"
  | "node-offline"
  | "driver-reset"
  | "restart-storm";
