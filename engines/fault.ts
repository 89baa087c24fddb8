// Why an attempt failed, in the words that decisions are made on. Every adapter maps its engine's failures to
// these and to nothing else.

export type EngineFault =
  /** The request can never succeed, here or elsewhere. */
  | { readonly kind: "refused"; readonly code: "INVALID_PARAMS" | "INTERNAL" }
  /** It may succeed elsewhere, or later. */
  | { readonly kind: "lost"; readonly reason: EngineLoss };

/** `busy`: it answers, but takes nothing now; its slots are used by somebody else, or it still loads. */
export type EngineLoss = "crash" | "reset" | "hung" | "busy" | "vram_oom" | "host_oom" | "driver_reset";

/** The message is for a person and holds no secret. */
export class EngineError extends Error {
  readonly fault: EngineFault;

  constructor(fault: EngineFault, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.name = "EngineError";
    this.fault = fault;
  }
}

export function lost(reason: EngineLoss, message: string, cause?: unknown): EngineError {
  return new EngineError({ kind: "lost", reason }, message, cause);
}

export function refused(code: "INVALID_PARAMS" | "INTERNAL", message: string, cause?: unknown): EngineError {
  return new EngineError({ kind: "refused", code }, message, cause);
}
