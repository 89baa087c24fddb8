// The one error that clients and operators see when the store cannot keep something.

import { OrchError } from "@llama-orch/contract";

const retryAfterMs = 30_000;

/** What an operator can do about it. */
export type Remedy = "room" | "permission" | "repair";

/** @param reason why, as the disk or its owner says it */
export function storageRefusal(reason: string, cause?: unknown, remedy: Remedy = "room"): OrchError {
  const message = `The store cannot be written (${reason}). ${advice[remedy]}, then send this again.`;
  const details = { policy_label: "storage", retry_after_ms: retryAfterMs } as const;
  return new OrchError("POOL_UNAVAILABLE", message, details, cause);
}

const advice: Readonly<Record<Remedy, string>> = {
  room: "Make room on its disk",
  permission: "See that its disk is not read-only and that this user may write to its folder",
  repair: "Check its disk, stop the daemon and restore the store from a copy",
};

export const isStorageRefusal = (error: unknown): error is OrchError =>
  error instanceof OrchError && error.code === "POOL_UNAVAILABLE" && error.details.policy_label === "storage";
