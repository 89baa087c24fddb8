// What the engine says of itself: llama-server's keys, and ours beside them.

import { GgufFileType, type LlamaModel } from "node-llama-cpp";
import type { EmbeddedConfig } from "./config.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { LoadedModel } from "./model.ts";
import { chatTemplateOf } from "./template.ts";
import { engineVersion } from "./version.ts";

export async function propsOf(loaded: LoadedModel, config: EmbeddedConfig): Promise<object> {
  const { llama, model, ctx } = loaded;
  const abilities = ["completion", "interruptible_decode", "json_schema", "embedding"];
  return {
    default_generation_settings: { n_ctx: ctx },
    total_slots: config.slots,
    model_alias: config.alias,
    model_path: config.modelPath,
    modalities: { vision: false, audio: false },
    endpoint_slots: true,
    endpoint_props: false,
    endpoint_metrics: true,
    chat_template: chatTemplateOf(model) ?? "",
    bos_token: model.tokens.bosString ?? "",
    eos_token: model.tokens.eosString ?? "",
    build_info: engineVersion,
    is_sleeping: false,
    model_digest: loaded.digest,
    compute_fingerprint: await fingerprintOf(loaded, config),
    compute: llama.gpu === "cuda" ? "cuda" : "cpu",
    quant: quantOf(model),
    features: model.fileInsights.supportsRanking ? [...abilities, "rerank"] : abilities,
  };
}

/** As people write it: F16, Q4_K_M. */
function quantOf({ fileInfo }: LlamaModel): string {
  const type: number | undefined = fileInfo.metadata.general?.file_type;
  const name = type === undefined ? undefined : GgufFileType[type];
  return name === undefined ? "unknown" : name.replace(/^(MOSTLY|ALL)_/, "");
}
