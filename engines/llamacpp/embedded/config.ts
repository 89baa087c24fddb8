// The command line of the embedded engine. It has flags of its own and reads no variable but the API key, so
// nothing that a llama.cpp installation left in the environment reaches it.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

export interface EmbeddedConfig {
  readonly modelPath: string;
  readonly alias: string;
  readonly address: string;
  readonly port: number;
  readonly slots: number;
  /** Tokens of prompt and answer in one slot; the model's own length when absent. */
  readonly ctx?: number;
  /** One context for all slots, which is faster and not exact; otherwise each has its own. */
  readonly batched: boolean;
  readonly gpu: "cuda" | "off";
  readonly gpuLayers?: number;
  /** Threads of one context. */
  readonly threads?: number;
  readonly batchSize?: number;
  readonly apiKeys: readonly string[];
}

const flags = {
  model: { type: "string" },
  alias: { type: "string" },
  host: { type: "string", default: "127.0.0.1" },
  port: { type: "string", default: "0" },
  slots: { type: "string", default: "1" },
  ctx: { type: "string" },
  batched: { type: "boolean", default: false },
  gpu: { type: "string", default: "off" },
  "gpu-layers": { type: "string" },
  threads: { type: "string" },
  "batch-size": { type: "string" },
  "api-key-file": { type: "string" },
} as const;

/** @throws Error whose message says which flag to correct */
export function readConfig(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): EmbeddedConfig {
  const { values } = parseArgs({ args: [...argv], options: flags, strict: true });
  if (values.model === undefined) throw new Error("Name the model: --model PATH of a GGUF file.");
  if (values.gpu !== "cuda" && values.gpu !== "off") {
    throw new Error(`--gpu ${values.gpu} is unknown; use cuda or off.`);
  }
  const file = values["api-key-file"];
  const keys = file === undefined ? (environment.LLAMA_API_KEY ?? "") : readFileSync(file, "utf8");
  return {
    modelPath: values.model,
    alias: values.alias ?? values.model,
    address: values.host,
    port: integer("port", values.port, 0, 65_535),
    slots: integer("slots", values.slots, 1, 1024),
    batched: values.batched,
    gpu: values.gpu,
    apiKeys: keys.split("\n").filter((key) => key !== ""),
    ...optional("ctx", values.ctx, 16, 16_777_216),
    ...optional("gpuLayers", values["gpu-layers"], 0, 100_000),
    ...optional("threads", values.threads, 1, 1024),
    ...optional("batchSize", values["batch-size"], 1, 65_536),
  };
}

function optional<Name extends string>(name: Name, text: string | undefined, min: number, max: number) {
  const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const found = text === undefined ? {} : { [name]: integer(flag, text, min, max) };
  return found as { [key in Name]?: number };
}

function integer(flag: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new Error(`--${flag} ${text} is not an integer from ${min} to ${max}.`);
}
