// Loads the weights once and gives every slot what it decodes in: a context of its own over the same weights,
// so that streams stay exact however many run, or with `batched` one context that all share.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import {
  getLlama,
  type Llama,
  type LlamaContextSequence,
  LlamaLogLevel,
  type LlamaModel,
} from "node-llama-cpp";
import type { EmbeddedConfig } from "./config.ts";

export interface LoadedModel {
  readonly llama: Llama;
  readonly model: LlamaModel;
  /** One per slot. */
  readonly sequences: readonly LlamaContextSequence[];
  readonly ctx: number;
  readonly shape: ContextShape;
  /** sha256 of the file, as `sha256:<hex>`. */
  readonly digest: string;
}

/** What decides the arithmetic of a context. */
export interface ContextShape {
  readonly threads: number;
  readonly batchSize: number;
  readonly gpuLayers: number;
}

/**
 * A request whose caller has gone is noticed between two batches of its prompt, so on the CPU, which takes
 * long for each, they are small.
 */
const batchSizes = { cuda: 512, off: 64 };

/** @throws Error whose message says why this machine cannot serve the model */
export async function loadModel(config: EmbeddedConfig): Promise<LoadedModel> {
  const gpu = config.gpu === "cuda" ? "cuda" : false;
  const llama = await getLlama({
    gpu,
    build: "never",
    skipDownload: true,
    progressLogs: false,
    // Contexts take the threads they are given: shared out anew for each batch, sums would be cut otherwise.
    maxThreads: 0,
    logLevel: LlamaLogLevel.error,
    logger: (_level, message) => console.error(message.trimEnd()),
  }).catch((cause: unknown) => {
    throw new Error(unusable(config.gpu), { cause });
  });
  if (llama.gpu !== gpu) throw new Error(unusable(config.gpu));
  const [model, digest] = await Promise.all([
    llama.loadModel({ modelPath: config.modelPath, gpuLayers: gpu ? (config.gpuLayers ?? "max") : 0 }),
    digestOf(config.modelPath),
  ]);
  const ctx = config.ctx ?? model.trainContextSize;
  const shape = {
    threads: config.threads ?? threadsFor(llama, model, config),
    batchSize: config.batchSize ?? Math.min(batchSizes[config.gpu], ctx),
    gpuLayers: model.gpuLayers,
  };
  const sequences = await createSequences(model, config, ctx, shape);
  return { llama, model, sequences, ctx, shape, digest };
}

/**
 * Threads of llama.cpp wait for each other by spinning, a hundred times per token. In a model this small that
 * gains nothing, and on a busy machine it costs a hundredfold.
 */
const smallBytes = 64 * 1024 * 1024;

/** The cores, shared out among the contexts that may decode at the same time. */
function threadsFor(llama: Llama, model: LlamaModel, { batched, slots }: EmbeddedConfig): number {
  if (model.size < smallBytes) return 1;
  return Math.max(1, Math.floor(llama.cpuMathCores / (batched ? 1 : slots)));
}

async function createSequences(
  model: LlamaModel,
  { slots, batched }: EmbeddedConfig,
  ctx: number,
  { threads, batchSize }: ContextShape,
): Promise<LlamaContextSequence[]> {
  const inEach = batched ? slots : 1;
  const sequences: LlamaContextSequence[] = [];
  while (sequences.length < slots) {
    const context = await model.createContext({
      sequences: inEach,
      contextSize: ctx,
      batchSize,
      threads: { ideal: threads, min: threads },
      // A context smaller than asked for would change the answers and the admission.
      failedCreationRemedy: false,
    });
    for (let at = 0; at < inEach; at++) sequences.push(context.getSequence());
  }
  return sequences;
}

function unusable(gpu: EmbeddedConfig["gpu"]): string {
  return gpu === "cuda"
    ? "CUDA cannot be used here: check that nvidia-smi works, and run npm run setup to install the CUDA binaries. This engine never falls back to the CPU."
    : "The CPU binaries of node-llama-cpp cannot be used here; run npm run setup.";
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return `sha256:${hash.digest("hex")}`;
}
