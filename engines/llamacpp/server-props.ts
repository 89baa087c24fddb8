// What a llama-server says of itself, put together from its /props and /slots. The worker of this house adds
// what the real one cannot tell; where that is missing, it stays missing.

import type { EngineProps } from "../adapter.ts";
import { lost } from "../fault.ts";
import { isCount } from "./count.ts";

interface WireProps {
  readonly build_info?: unknown;
  readonly total_slots?: unknown;
  readonly default_generation_settings?: { readonly n_ctx?: unknown };
  readonly model_ftype?: unknown;
  readonly model_digest?: unknown;
  readonly compute_fingerprint?: unknown;
  readonly compute?: unknown;
  readonly quant?: unknown;
  readonly features?: unknown;
}

/** @throws EngineError when what every llama-server says is missing */
export function engineProps(
  wire: WireProps,
  slots: readonly unknown[] | undefined,
  features: readonly string[],
): EngineProps {
  const { build_info: version, total_slots: total, default_generation_settings: settings } = wire;
  const ctxMax = settings?.n_ctx;
  if (typeof version !== "string" || !isCount(total) || !isCount(ctxMax)) {
    throw lost(
      "reset",
      "What answers /props is no llama-server: build_info, total_slots or n_ctx is missing or wrong.",
    );
  }
  const quant = wire.quant ?? wire.model_ftype;
  return {
    engineVersion: version,
    slotsTotal: total,
    ...(slots !== undefined && { slotsBusy: slots.filter(isBusy).length }),
    ctxMax,
    features,
    ...(typeof wire.model_digest === "string" && { modelDigest: wire.model_digest }),
    ...(typeof quant === "string" && { quant }),
    ...(typeof wire.compute_fingerprint === "string" && { computeFingerprint: wire.compute_fingerprint }),
    ...((wire.compute === "cuda" || wire.compute === "cpu") && { compute: wire.compute }),
  };
}

export function featuresIn(wire: WireProps): readonly string[] | undefined {
  return Array.isArray(wire.features) ? wire.features.filter((name) => typeof name === "string") : undefined;
}

function isBusy(slot: unknown): boolean {
  return (slot as { is_processing?: unknown } | null)?.is_processing === true;
}
