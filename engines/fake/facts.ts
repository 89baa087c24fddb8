// What a fake engine is: its size, its speed, and what it says of itself. Tests set the facts so that two
// fakes are equal, or are not.

export interface FakeFacts {
  readonly slots: number;
  /** Tokens per slot. */
  readonly ctx: number;
  readonly alias: string;
  readonly apiKey?: string;
  readonly buildInfo: string;
  /** The keys that the embedded process adds to /props; absent: a plain llama-server. */
  readonly modelDigest?: string;
  readonly computeFingerprint?: string;
  readonly compute?: "cuda" | "cpu";
  readonly quant?: string;
  readonly features: readonly string[];
  /** Of one slot; absent: as fast as it goes. */
  readonly tokensPerSecond?: number;
  readonly framesPerWrite: number;
  /** How long an answer is on average before it ends by itself; 0: it never does. */
  readonly meanTokens: number;
  /** How long after its start it says that it still loads. */
  readonly loadingMs: number;
}

export const fakeFacts: FakeFacts = {
  slots: 1,
  ctx: 4096,
  alias: "fake",
  buildInfo: "fake-1",
  features: ["completion", "embedding", "rerank", "interruptible_decode"],
  framesPerWrite: 64,
  meanTokens: 0,
  loadingMs: 0,
};

export function propsOf(facts: FakeFacts, buildInfo: string): Record<string, unknown> {
  return {
    default_generation_settings: { params: { seed: 4_294_967_295, temperature: 0.8 }, n_ctx: facts.ctx },
    total_slots: facts.slots,
    model_alias: facts.alias,
    model_ftype: "F16",
    model_path: `/${facts.alias}.gguf`,
    endpoint_slots: true,
    endpoint_props: false,
    endpoint_metrics: true,
    bos_token: "<bos>",
    eos_token: "<eos>",
    build_info: buildInfo,
    is_sleeping: false,
    model_digest: facts.modelDigest,
    compute_fingerprint: facts.computeFingerprint,
    compute: facts.compute,
    quant: facts.quant,
    features: facts.features,
  };
}
