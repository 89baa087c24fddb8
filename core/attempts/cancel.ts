// Cancelling is final at once: the gate closes first, so that no token can follow, the outcome leaves, and
// only then is the engine told. The slot stays taken until the engine has really stopped.

import type { CancelReason } from "../outcome.ts";
import type { Core, Live } from "../state.ts";
import { finish } from "./finish.ts";

export function cancel(core: Core, live: Live, reason: CancelReason): void {
  if (live.over) return;
  const { place, tokensOut, decodeMs } = live;
  core.emit({ type: "CloseGate", jobId: live.jobId });
  finish(core, live, { kind: "canceled", reason, tokensOut, decodeMs });
  if (place?.kind !== "running") return;
  const told = place.ending !== undefined;
  place.ending = "canceled";
  if (told) return;
  const why = reason === "client" ? "canceled" : "disconnect";
  core.emit({ type: "AbortAttempt", jobId: live.jobId, attempt: place.attempt, reason: why });
}
