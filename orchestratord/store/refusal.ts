// The one error that clients and operators see when the store cannot keep something.

import { OrchError } from "@llama-orch/contract";

const retryAfterMs = 30_000;

/** @param reason why, as the disk or its owner says it */
export function storageRefusal(reason: string, cause?: unknown): OrchError {
  const message = `The store cannot be written (${reason}). Make room on its disk, then send this again.`;
  const details = { policy_label: "storage", retry_after_ms: retryAfterMs } as const;
  return new OrchError("POOL_UNAVAILABLE", message, details, cause);
}

export const isStorageRefusal = (error: unknown): error is OrchError =>
  error instanceof OrchError && error.code === "POOL_UNAVAILABLE" && error.details.policy_label === "storage";
