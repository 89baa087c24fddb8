// Provides llama.cpp as the embedded engine: a Node program of this repository on node-llama-cpp. It only
// looks for the model and the binaries; nothing is fetched or built here.

import { access, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { OrchError, type Plan, type PoolConfig, type PreparedEngine } from "@llama-orch/contract";
import type { EngineLaunch, Provisioner, ProvisionMachine, ReplicaPlace } from "../provision.ts";
import { engineVersion } from "./embedded/version.ts";

export type { EngineLaunch, Provisioner, ProvisionMachine, ReplicaPlace } from "../provision.ts";

const here = import.meta.dirname;
const program = join(here, "embedded", "main.ts");
const binaries = join(here, "binaries", "node_modules", "@node-llama-cpp", "linux-x64-cuda", "package.json");
const demoModel = join(here, "..", "..", "models", "haiku", "haiku.gguf");
const compileCache = join(here, "..", "..", "node_modules", ".cache", "llama-orch");
/** Threads that read files and resolve names while the others decode. */
const spareThreads = 2;
/** libuv starts at most 1024. */
const threadsMax = 1024 - spareThreads;

export const provisionLlamacpp: Provisioner = {
  async plan(pool, replica, machine): Promise<Plan> {
    const steps: Plan["steps"] = [];
    for (const [kind, check] of checks) {
      const fault = await check(pool, machine);
      steps.push(fault ? { kind: "policy-violation", detail: fault.message } : kind(pool));
    }
    const path = modelPath(pool) ?? pool.model;
    steps.push({ kind: "run", detail: ["node", program, ...argumentsFor(pool, replica, path)].join(" ") });
    return { pool_id: pool.id, steps };
  },

  async ensure(pool, replica, machine): Promise<EngineLaunch> {
    for (const [, check] of checks) {
      const fault = await check(pool, machine);
      if (fault) throw fault;
    }
    return launch(pool, replica, modelPath(pool) as string);
  },
};

type Check = (pool: PoolConfig, machine: ProvisionMachine) => Promise<OrchError | undefined>;
type Step = (pool: PoolConfig) => Plan["steps"][number];

/** In this order: the first that fails is the one to be told of. */
const checks: readonly (readonly [Step, Check])[] = [
  [({ id }) => ({ kind: "preflight-tools", detail: `Pool ${id} asks for what is built in.` }), checkWishes],
  [
    ({ devices }) => {
      const where = devices.length === 0 ? "The CPU is allowed." : `GPUs ${devices.join(", ")} with CUDA.`;
      return { kind: "preflight-tools", detail: where };
    },
    checkDevices,
  ],
  [(pool) => ({ kind: "model-fetch", detail: `The model lies at ${modelPath(pool)}.` }), checkModel],
];

async function checkWishes({ id, engine, provisioning, tensor_split }: PoolConfig) {
  if (engine !== "llamacpp" || provisioning.mode !== "embedded") {
    const message = `Pool ${id} wants ${engine} in mode ${provisioning.mode}, which cannot be provided yet; set engine: llamacpp and provisioning.mode: embedded.`;
    return new OrchError("POOL_UNAVAILABLE", message);
  }
  if (tensor_split === undefined) return undefined;
  const message = `Pool ${id} sets tensor_split, and the embedded engine splits a model by free memory only; remove tensor_split.`;
  return new OrchError("INVALID_PARAMS", message);
}

async function checkDevices({ id, devices, allow_cpu }: PoolConfig, machine: ProvisionMachine) {
  if (devices.length === 0) {
    if (allow_cpu) return undefined;
    const message = `Pool ${id} names no GPU; list its devices, or set allow_cpu: true to serve it on the CPU.`;
    return new OrchError("INVALID_PARAMS", message);
  }
  if (!machine.hasNvidiaDriver) {
    const message = `Pool ${id} needs a GPU, and no NVIDIA driver is loaded; install the driver, or set devices: [] and allow_cpu: true.`;
    return new OrchError("POOL_UNAVAILABLE", message);
  }
  if (await exists(binaries)) return undefined;
  const message = `Pool ${id} needs a GPU, and the CUDA binaries of the embedded engine are not installed; run npm run setup on this machine.`;
  return new OrchError("POOL_UNAVAILABLE", message);
}

async function checkModel(pool: PoolConfig) {
  const path = modelPath(pool);
  if (path === undefined) {
    const message = `The model ${pool.model} of pool ${pool.id} cannot be fetched yet; download its GGUF file and give the path.`;
    return new OrchError("POOL_UNAVAILABLE", message);
  }
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile()) return undefined;
  const message = `The model of pool ${pool.id} is not at ${path}; put the GGUF file there, or correct the pool's model.`;
  return new OrchError("POOL_UNAVAILABLE", message);
}

/** The file behind a reference; `undefined` for one that would have to be fetched. */
function modelPath({ model, provisioning }: PoolConfig): string | undefined {
  const ref = provisioning.model?.ref ?? model;
  if (ref === "haiku") return demoModel;
  if (ref.startsWith("file://")) return fileURLToPath(ref);
  if (ref.startsWith("file:")) return resolve(ref.slice("file:".length));
  return /^[a-z][a-z0-9+.-]*:/i.test(ref) || !/[/\\]|\.gguf$/.test(ref) ? undefined : resolve(ref);
}

function launch(pool: PoolConfig, replica: ReplicaPlace, path: string): EngineLaunch {
  const args = argumentsFor(pool, replica, path);
  const prepared: PreparedEngine = {
    engine: "llamacpp",
    engine_version: engineVersion,
    provisioning_mode: "embedded",
    binary_path: program,
    flags: args,
    host: "127.0.0.1",
    port: replica.port,
    model_path: path,
    pool_id: pool.id,
    replica_id: replica.replicaId,
    device_mask: pool.devices.join(","),
    compute: pool.devices.length === 0 ? "cpu" : "cuda",
  };
  const digest = pool.provisioning.model?.checksum;
  return {
    prepared,
    command: process.execPath,
    args: [program, ...args],
    env: environmentFor(pool, replica),
    cwd: here,
    ipc: true,
    listening: /listening on (http:\/\/\S+)/,
    healthPath: "/health",
    ...(digest === undefined ? {} : { modelDigest: digest }),
  };
}

function argumentsFor(pool: PoolConfig, replica: ReplicaPlace, path: string): string[] {
  const args = ["--model", path, "--alias", pool.model, "--host", "127.0.0.1", "--port", `${replica.port}`];
  args.push("--slots", `${pool.slots}`, "--gpu", pool.devices.length === 0 ? "off" : "cuda");
  if (pool.ctx !== undefined) args.push("--ctx", `${pool.ctx}`);
  if (pool.determinism === "best_effort") args.push("--batched");
  return [...args, ...pool.provisioning.flags];
}

function environmentFor(pool: PoolConfig, replica: ReplicaPlace): EngineLaunch["env"] {
  return {
    ...pool.provisioning.env,
    // The indexes of the configuration are those of nvidia-smi, which counts by bus.
    CUDA_DEVICE_ORDER: "PCI_BUS_ID",
    CUDA_VISIBLE_DEVICES: pool.devices.join(","),
    UV_THREADPOOL_SIZE: `${decodingThreads(pool) + spareThreads}`,
    LLAMA_API_KEY: replica.apiKey,
    // What was compiled once is kept, so that an engine that was lost is back sooner.
    NODE_COMPILE_CACHE: compileCache,
  };
}

/** A slot waits for its GPU on a thread; on the CPU more threads than cores only get in each other's way. */
function decodingThreads({ slots, devices }: PoolConfig): number {
  return Math.min(slots, devices.length === 0 ? availableParallelism() : threadsMax);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
