// Says by what arithmetic this process computes: two processes with equal fingerprints, and the same model,
// give equal tokens for equal requests. It is for comparing, and for a person to read where two differ.

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { GgmlType } from "node-llama-cpp";
import type { EmbeddedConfig } from "./config.ts";
import type { LoadedModel } from "./model.ts";
import { engineVersion } from "./version.ts";

export async function fingerprintOf(loaded: LoadedModel, config: EmbeddedConfig): Promise<string> {
  const { llama, sequences, shape, ctx } = loaded;
  const context = sequences[0]?.context;
  const devices = await llama.getGpuDeviceNames();
  const parts = {
    engine: `${engineVersion} with llama.cpp ${llama.llamaCppRelease.release}`,
    compute: llama.gpu === false ? "cpu" : llama.gpu,
    devices: devices.join(" + ") || "none",
    driver: llama.gpu === false ? "none" : (nvidiaDriver() ?? "unknown"),
    cpu: cpuVariant() ?? llama.systemInfo,
    layers: shape.gpuLayers,
    threads: shape.threads,
    ctx,
    batch: shape.batchSize,
    attention: context?.flashAttention,
    kv: `${nameOf(context?.kvCacheKeyType)}/${nameOf(context?.kvCacheValueType)}`,
    contexts: config.batched ? `one for ${config.slots} slots` : "one for each slot",
  };
  return Object.entries(parts)
    .map(([name, value]) => `${name}=${value}`)
    .join("; ");
}

function nameOf(type: GgmlType | undefined): string {
  return type === undefined ? "unknown" : GgmlType[type];
}

/** The library that llama.cpp chose by the instructions this CPU has; Linux tells what is loaded. */
function cpuVariant(): string | undefined {
  const path = textOf("/proc/self/maps")?.match(/\S*ggml-cpu\S*/)?.[0];
  return path === undefined ? undefined : basename(path);
}

function nvidiaDriver(): string | undefined {
  return textOf("/proc/driver/nvidia/version")?.match(/\d+\.\d+(\.\d+)?/)?.[0];
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Not Linux, or no such driver: the fingerprint then says so.
    return undefined;
  }
}
