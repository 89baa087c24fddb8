// The port to what must survive: facts about tasks and the texts of those that are not over. It is narrow and
// asynchronous, so that a group commit, another process or another machine can stand behind it.

import type { Priority, TaskBody } from "@llama-orch/contract";
import type { Answer, Outcome, Remembered } from "@llama-orch/core";

export interface Store {
  /**
   * Keeps all facts of a call or none, never overtaking an earlier call. Resolves when they are safe; whoever
   * must not be told before that waits for it. Without facts it tells whether facts could be kept now.
   * @throws OrchError POOL_UNAVAILABLE (storage) when it cannot
   */
  commit(facts: readonly Fact[]): Promise<void>;
  /** The texts of an admitted task that is not over; undefined for any other. */
  body(jobId: string): Promise<TaskBody | undefined>;
  /**
   * What a name was first answered, as long as a repeat gets the same answer again. Without a tenant the
   * default one's is meant, else that of whoever used the name last; so below.
   */
  remembered(tenantId: string | undefined, taskId: string): Promise<Remembered | undefined>;
  /** Where the transcript of an ended task lies, as long as its stream is served again. */
  transcript(tenantId: string | undefined, taskId: string): Promise<EndedTask | undefined>;
  close(): Promise<void>;
}

export type Fact = Admitted | Ended | Drained | SessionDeleted;

export interface Admitted {
  readonly fact: "admitted";
  readonly jobId: string;
  readonly tenantId: string;
  readonly taskId: string;
  readonly priority: Priority;
  readonly atMs: number;
  /** Of all its fields: equal exactly when a repeat asks for the same. */
  readonly fingerprint: string;
  readonly answer: Answer;
  readonly body: TaskBody;
}

/** A cancel is an outcome like any other. */
export interface Ended extends EndedTask {
  readonly fact: "ended";
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
  readonly deadlineAtMs: number;
}

export interface SessionDeleted {
  readonly fact: "session-deleted";
  readonly tenantId: string;
  readonly sessionId: string;
  readonly atMs: number;
}
