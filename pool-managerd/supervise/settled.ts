// The states of one engine process, and which of them answer the question how its start went.

import type { ReplicaPhase } from "@llama-orch/contract";

/** As the state machine of `process.ts` draws them. */
export type Phase = ReplicaPhase | "stopping";

/** How a start went: it became ready, or there is no process any more. */
export type Settled = { readonly ok: true } | { readonly ok: false; readonly error: string };

/** undefined while that is open. */
export function settledIn(phase: Phase, lastError: string | undefined): Settled | undefined {
  if (phase === "ready" || phase === "draining") return { ok: true };
  if (phase === "starting" || phase === "loading" || phase === "stopping") return undefined;
  return { ok: false, error: lastError ?? "The engine was stopped." };
}
