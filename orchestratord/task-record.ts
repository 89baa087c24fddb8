// One accepted task as the daemon knows it beside the core: who asked, what it is called in logs and lists,
// and where its stream is. The core decides; this only remembers what it said.

import type { OrchError, Task, TaskErrorCode, TaskState } from "@llama-orch/contract";
import type { Answer, DispatchAttempt, Outcome, Reservation, TaskFacts } from "@llama-orch/core";
import type { Asked } from "./store/store.ts";
import type { TaskStream } from "./streaming/task-stream.ts";

export interface TaskRecord extends Asked {
  readonly jobId: string;
  readonly task: Task;
  readonly submittedAtMs: number;
  readonly answer: Answer;
  readonly reserved: Reservation;
  readonly stream: TaskStream;
  /**
   * Resolves once its admission is safe: no frame and no answer leaves before. Resolves to an error where the
   * store refused it: then the task was withdrawn, and nothing of it may run or leave. It never rejects.
   */
  readonly admitted: Promise<OrchError | undefined>;
  /** It began in an earlier process. */
  readonly isRecovered: boolean;
  /** Somebody has read its stream. */
  wasRead: boolean;
  /**
   * Resolves once its outcome is safe and its terminal frame has left, or to why the store does not take it
   * now; then it is owed, and once it is kept another promise says so. Absent while the task is live.
   */
  ended: Promise<OrchError | undefined> | undefined;
  /** Where its transcript lies. From then on its stream is served from there. */
  transcript: string | undefined;
  /** Its stream has been forgotten. */
  isReleased: boolean;
  state: TaskState;
  code: TaskErrorCode | undefined;
  poolId: string;
  /** Null while it was never placed. */
  placed: Placed | undefined;
  attempt: number;
  startedAtMs: number | undefined;
  firstTokenAtMs: number | undefined;
  endedAtMs: number | undefined;
  outcome: Outcome | undefined;
  tokensOut: number;
  /** As the engine counted. */
  tokensIn: number | undefined;
}

/** A task that waits. */
export function newRecord(
  { jobId, task, answer, reserved, submittedAtMs, poolId }: TaskFacts,
  asked: Asked,
  own: Pick<TaskRecord, "stream" | "admitted" | "isRecovered">,
): TaskRecord {
  const { correlationId, identity, client, samplerProfile, sampling } = asked;
  return {
    jobId,
    task,
    correlationId,
    identity,
    client,
    submittedAtMs,
    samplerProfile,
    sampling,
    answer,
    reserved,
    ...own,
    wasRead: false,
    ended: undefined,
    transcript: undefined,
    isReleased: false,
    state: "waiting",
    code: undefined,
    poolId,
    placed: undefined,
    attempt: 0,
    startedAtMs: undefined,
    firstTokenAtMs: undefined,
    endedAtMs: undefined,
    outcome: undefined,
    tokensOut: 0,
    tokensIn: undefined,
  };
}

/** Where the last attempt went. */
export interface Placed {
  readonly poolId: string;
  readonly replicaId: string;
  readonly engineVersion: string;
  readonly modelDigest: string | undefined;
  readonly dispatch: DispatchAttempt;
}
