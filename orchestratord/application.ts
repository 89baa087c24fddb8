// What the HTTP routes may ask of the daemon, and what is known about a caller. The routes parse, authorise
// and write answers; everything behind this port decides. Every method that fails throws OrchError.

import type {
  Capabilities,
  PoolHealth,
  PoolList,
  ReloadReply,
  ReloadRequest,
  SessionInfo,
  TaskList,
  TaskQuery,
  TaskRequest,
  TaskView,
} from "@llama-orch/contract";
import type { Answer, BudgetView } from "@llama-orch/core";
import type { Artifacts } from "./artifacts/artifacts.ts";
import type { Followable } from "./streaming/task-stream.ts";

/** Who asks, as the gate found out. */
export interface Caller {
  /** Bound to the key; it overrides the tenant that a request names. */
  readonly tenantId?: string;
  /** The credential's fingerprint, else the address: whom a rate limit is for. */
  readonly client: string;
  /** `localhost` or `token:<fp6>`. */
  readonly identity: string;
  readonly correlationId: string;
}

export interface Admitted {
  readonly taskId: string;
  readonly answer: Answer;
  readonly budget: BudgetView;
}

export interface Followed {
  readonly stream: Followable;
  /** What the budget headers of the stream show. */
  readonly budget: BudgetView;
}

export interface Application {
  /** Resolves when the admission is durable. A refusal is an OrchError with its advisory details. */
  submit(request: TaskRequest, bodyBytes: number, caller: Caller): Promise<Admitted>;
  /** @throws NOT_FOUND for a task nobody knows, GONE for one that ended too long ago */
  follow(taskId: string, caller: Caller): Promise<Followed>;
  /** Resolves when the cancel is durable; an unknown task is as good as cancelled. */
  cancel(taskId: string, caller: Caller): Promise<void>;
  session(sessionId: string, caller: Caller): SessionInfo;
  deleteSession(sessionId: string, caller: Caller): Promise<void>;
  readonly artifacts: Artifacts;
  capabilities(): Capabilities;
  poolHealth(poolId: string): PoolHealth;
  /** Resolves when the drain is durable. */
  drain(poolId: string, deadlineMs: number, caller: Caller): Promise<void>;
  reload(poolId: string, request: ReloadRequest, caller: Caller): Promise<ReloadReply>;
  /** The Prometheus exposition; asking changes nothing. */
  metrics(): Promise<string>;
  tasks(query: TaskQuery, caller: Caller): TaskList;
  /** @throws NOT_FOUND */
  task(taskId: string, caller: Caller): TaskView;
  pools(): PoolList;
}
