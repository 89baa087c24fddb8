// How things end and what is answered: the closed sets of endings that events report and effects announce.

import type { ErrorDetails, PreparationStep, TaskErrorCode } from "@llama-orch/contract";

/** What an accepted task is told, now and every time it is sent again. */
export interface Answer {
  readonly jobId: string;
  readonly queuePosition: number;
  readonly predictedStartMs: number;
  readonly preparation: readonly PreparationStep[];
}

export interface Refusal {
  readonly code: RefusalCode;
  readonly message: string;
  readonly details: ErrorDetails;
  /** Where no replica could take the task: what was looked at, for whoever writes it down. */
  readonly noPlace?: NoPlace;
}

export interface NoPlace {
  readonly candidatesTotal: number;
  readonly candidatesFeasible: number;
  readonly reason: NoPlaceReason;
}

export type NoPlaceReason =
  | "POOL_UNREADY"
  | "MASK_UNSATISFIED"
  | "INSUFFICIENT_CTX"
  | "EXTENSIONS_UNSATISFIED"
  | "NO_CAPACITY"
  | "pinned_pool_infeasible"
  | "no_preferred_feasible";

export type RefusalCode = TaskErrorCode | "TASK_CONFLICT";

/** `done`: the engine finished. `refused`: it said no for good. Everything else lost the attempt. */
export type Ending =
  | { readonly kind: "done" }
  | { readonly kind: "aborted" }
  | { readonly kind: "refused"; readonly code: "INVALID_PARAMS" | "INTERNAL"; readonly message: string }
  | { readonly kind: "mismatch" }
  | { readonly kind: "lost"; readonly reason: LostReason; readonly message: string };

export type LostReason =
  | "crash"
  | "reset"
  | "hung"
  | "busy"
  | "vram_oom"
  | "host_oom"
  | "driver_reset"
  | "node"
  | "drain"
  | "preempted"
  | "restart";

export type AbortReason = "canceled" | "disconnect" | "watchdog" | LostReason;

export type CancelReason = "client" | "disconnect";

/** How a task ends; also a label of the metrics. */
export type Outcome =
  | { readonly kind: "done"; readonly tokensOut: number; readonly decodeMs: number }
  | {
      readonly kind: "canceled";
      readonly reason: CancelReason;
      readonly tokensOut: number;
      readonly decodeMs: number;
    }
  | {
      readonly kind: "failed";
      readonly code: TaskErrorCode;
      readonly message: string;
      readonly details: ErrorDetails;
      readonly tokensOut: number;
      readonly decodeMs: number;
    };
