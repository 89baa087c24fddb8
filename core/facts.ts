// What survives the process, as plain JSON: facts about tasks, sessions and replicas, told when they come to
// be. They say what is, never how it was decided.

import type { Determinism, Task } from "@llama-orch/contract";
import type { ReplicaFacts } from "./events.ts";
import type { Answer } from "./outcome.ts";
import type { Settings } from "./settings.ts";
import type { Draining, Reservation, Spent } from "./state.ts";

/** What must be known of an accepted task to go on with it in another process; told once, when it comes. */
export interface TaskFacts {
  readonly jobId: string;
  readonly task: Task;
  readonly fingerprint: string;
  readonly answer: Answer;
  readonly submittedAtMs: number;
  /** Its place among all admissions. */
  readonly ordinal: number;
  readonly bodyBytes: number;
  readonly memoryBytes: number;
  readonly promptTokens: number;
  /** Of several inputs those of the longest: each has a context to itself. Absent where there is but one. */
  readonly longestTokens?: number;
  readonly outputTokens: number;
  readonly reserved: Reservation;
  readonly extensions: readonly string[];
  readonly quant: string | null;
  readonly computeCapability: string | null;
  readonly digest: string | null;
  readonly determinism: Determinism;
  readonly setId: string;
  readonly poolId: string;
  /** Null where the task counts for no session. */
  readonly sessionSerial: number | null;
}

/** Where the last attempt of a task went. */
export interface SentTo {
  readonly attempt: number;
  readonly poolId: string;
  readonly replicaId: string;
  readonly setId: string;
  readonly digest: string | null;
  readonly determinism: Determinism;
}

/** A task that was not over. */
export interface SurvivingTask extends TaskFacts {
  /** Absent while it was never placed. */
  readonly sentTo?: SentTo;
  /**
   * Frames that readers may have, as far as it was written down. Of a strict task that was sent and is read
   * they may have some more. So it counts as delivered in part even where this says 0, and never runs
   * elsewhere with other bytes; a task that was never read has shown nobody anything. That somebody
   * reads it is not waited for, since every first token would pay for a sync. So a process that dies within
   * that one commit takes its task for unread and makes it again from the start, with the same bytes unless
   * its set is gone as well; even then whoever returns with the id of a frame is refused for its digest, and
   * never gets other text.
   */
  readonly frames: number;
  /** Tokens that were delivered. */
  readonly tokensOut: number;
  /** Somebody was reading it, and may come back. */
  readonly wasRead: boolean;
}

export interface SessionFacts {
  readonly tenantId: string;
  readonly sessionId: string;
  readonly serial: number;
  readonly expiresAtMs: number;
  readonly turns: number;
  readonly spent: Spent;
}

export interface TenantFacts {
  readonly tenantId: string;
  readonly spent: Spent;
}

/** A replica as it last reported itself. */
export interface SurvivingReplica {
  readonly poolId: string;
  readonly replicaId: string;
  readonly facts: ReplicaFacts;
}

export interface Survived {
  /** The latest time that was recorded. */
  readonly nowMs: number;
  /** What the installation last ran under; null at the very first start. */
  readonly settings: Settings | null;
  readonly replicas: readonly SurvivingReplica[];
  /** Pools that take no work, with since when and until when. */
  readonly drains: readonly (Pick<Draining, "sinceMs" | "deadlineAtMs"> & { readonly poolId: string })[];
  /** In the order of their admissions. */
  readonly tasks: readonly SurvivingTask[];
  readonly sessions: readonly SessionFacts[];
  readonly tenants: readonly TenantFacts[];
}
