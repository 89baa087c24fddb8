// The port to what must survive: facts about tasks and the texts of those that are not over. It is narrow and
// asynchronous, so that a group commit, another process or another machine can stand behind it.

import type { ResolvedSampling, SamplerProfile, TaskBody, TaskView } from "@llama-orch/contract";
import type {
  Outcome,
  Remembered,
  SentTo,
  SessionFacts,
  Settings,
  Spent,
  Survived,
  SurvivingReplica,
  SurvivingTask,
  TaskFacts,
} from "@llama-orch/core";

export interface Store {
  /** Everything that is not over; asked once, before the first commit. */
  recover(): Recovered;
  /**
   * Keeps all facts of a call or none, never overtaking an earlier call. Resolves when they are safe; whoever
   * must not be told before that waits for it. Without facts it tells whether facts could be kept now.
   * @throws OrchError POOL_UNAVAILABLE (storage) when it cannot
   */
  commit(facts: readonly Fact[]): Promise<void>;
  /** The texts of a task that is not over, as soon as its admission was told; undefined for any other. */
  body(jobId: string): Promise<TaskBody | undefined>;
  /**
   * What a name was first answered, as long as a repeat gets the same answer again. Without a tenant the
   * default one's is meant, else that of whoever used the name last; so below.
   */
  remembered(tenantId: string | undefined, taskId: string): Promise<Remembered | undefined>;
  /** Where the transcript of an ended task lies, as long as its stream is served again. */
  transcript(tenantId: string | undefined, taskId: string): Promise<EndedTask | undefined>;
  /** The tasks that ended last, longest ended first and so many at most, as lists show them. */
  past(limit: number): readonly TaskView[];
  /** Removes what nobody may ask for any more. */
  sweep(nowMs: number): Promise<void>;
  /**
   * Something of an admitted task that lies elsewhere could not be written: the room that is held for that is
   * given back before this returns, and nothing is admitted until it could be held again. False where none
   * was held.
   */
  makeRoom(): boolean;
  close(): Promise<void>;
}

/** In the words of the core, and what the daemon must know of each task besides. */
export interface Recovered extends Survived {
  readonly tasks: readonly RecoveredTask[];
}

export interface RecoveredTask extends SurvivingTask, Asked {
  /** Of the first `frames` frames of a strict stream; absent where none is known. */
  readonly streamDigest?: string;
}

/** Who asked for a task, and how it is sampled in all of its attempts. */
export interface Asked {
  readonly correlationId: string;
  readonly identity: string;
  readonly client: string;
  readonly samplerProfile: SamplerProfile;
  readonly sampling: ResolvedSampling;
}

export type Fact =
  | Admitted
  | Sent
  | Progressed
  | Read
  | Ended
  | Drained
  | Undrained
  | SessionDeleted
  | ReplicaSeen
  | ReplicaGone
  | Configured;

export interface Admitted {
  readonly fact: "admitted";
  readonly atMs: number;
  readonly facts: TaskFacts;
  readonly asked: Asked;
  readonly body: TaskBody;
  /** The session as it is with this turn; what an old one of the same serial has spent stays as it is. */
  readonly session?: SessionFacts;
}

/** An attempt was placed. */
export interface Sent {
  readonly fact: "sent";
  readonly jobId: string;
  readonly to: SentTo;
}

/** How far a strict stream has come, so that another process can prove that it makes the same one. */
export interface Progressed {
  readonly fact: "progressed";
  readonly jobId: string;
  readonly frames: number;
  readonly tokensOut: number;
  readonly streamDigest: string;
}

/** The first reader has come. */
export interface Read {
  readonly fact: "read";
  readonly jobId: string;
}

/** A cancel is an outcome like any other. */
export interface Ended extends EndedTask {
  readonly fact: "ended";
  /** As lists show it from now on. */
  readonly view: TaskView;
  /** Booked on its session, if that is still the one it was a turn of. */
  readonly spent: Spent;
  /** Its tenant has a budget, so it is booked there, too. */
  readonly tenantPays: boolean;
}

export interface EndedTask {
  readonly jobId: string;
  readonly tenantId: string;
  readonly taskId: string;
  readonly atMs: number;
  readonly outcome: Outcome;
  /** Absent until it is stored; the outcome alone is what a cancel's answer waits for. */
  readonly transcript?: string;
}

export interface Drained {
  readonly fact: "drained";
  readonly poolId: string;
  readonly sinceMs: number;
  readonly deadlineAtMs: number;
}

/** The pool takes work again. */
export interface Undrained {
  readonly fact: "undrained";
  readonly poolId: string;
}

export interface SessionDeleted {
  readonly fact: "session-deleted";
  readonly tenantId: string;
  readonly sessionId: string;
  readonly atMs: number;
}

/** What a replica is; the latest counts. */
export interface ReplicaSeen extends SurvivingReplica {
  readonly fact: "replica-seen";
}

/** It belongs to the installation no more. */
export interface ReplicaGone extends Pick<SurvivingReplica, "poolId" | "replicaId"> {
  readonly fact: "replica-gone";
}

export interface Configured {
  readonly fact: "configured";
  readonly settings: Settings;
  readonly atMs: number;
}
