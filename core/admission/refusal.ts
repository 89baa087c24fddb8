// How a refusal is worded. It consumes nothing and always says what to do.

import type { ErrorDetails } from "@llama-orch/contract";
import type { Refusal, RefusalCode } from "../outcome.ts";

export function refuse(code: RefusalCode, message: string, details: ErrorDetails = {}): Refusal {
  return { code, message, details };
}
