// The states of one engine process: which may follow which, and which of them answer the question how its
// start went. They are changed in `process.ts` alone, which says what each means.

import type { ReplicaPhase } from "@llama-orch/contract";

/** As the state machine of `process.ts` draws them. */
export type Phase = ReplicaPhase | "stopping";

export const enteredFrom: Readonly<Record<Phase, readonly Phase[]>> = {
  starting: ["stopped", "failed", "backing_off"],
  loading: ["starting"],
  ready: ["starting", "loading", "draining"],
  draining: ["ready"],
  stopping: ["starting", "loading", "ready", "draining"],
  backing_off: ["starting", "loading", "ready", "stopping"],
  stopped: ["starting", "loading", "ready", "draining", "stopping", "backing_off", "failed"],
  failed: ["starting", "loading", "ready", "stopping"],
};

/** How a start went: it became ready, or there is no process any more. */
export type Settled = { readonly ok: true } | { readonly ok: false; readonly error: string };

/** undefined while that is open. */
export function settledIn(phase: Phase, lastError: string | undefined): Settled | undefined {
  if (phase === "ready" || phase === "draining") return { ok: true };
  if (phase === "starting" || phase === "loading" || phase === "stopping") return undefined;
  return { ok: false, error: lastError ?? "The engine was stopped." };
}
