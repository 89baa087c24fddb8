// One pool: an engine with a model on a set of devices, in one or more replicas, and everything that rules
// it.

import Type from "typebox";
import { ModelRef, PoolId } from "../ids.ts";
import { requestTokensMax } from "../number.ts";
import { SamplerProfile } from "../sampling.ts";
import { labelMax } from "../task.ts";
import { Determinism, EngineKind } from "../words.ts";
import { Provisioning } from "./provisioning.ts";
import { Admission, Preemption, Queue, Scheduling, Timeouts } from "./scheduling.ts";
import {
  bytes,
  closed,
  derived,
  ms,
  optional,
  positive,
  type Resolved,
  required,
  section,
  setting,
  text,
} from "./setting.ts";

const Canary = closed({
  model: required(ModelRef, "The model that is tried."),
  percent: optional(Type.Integer({ minimum: 0, maximum: 100 }), "The share of sessions that get it."),
  label: optional(text(labelMax), "Tasks with this label get it, whatever their session."),
});

const AntiAffinity = closed({
  scope: setting(Type.Enum(["node", "zone"]), "node", "What has to differ."),
  pools: required(
    Type.Array(PoolId, { minItems: 1, maxItems: 256, uniqueItems: true }),
    "Pools whose nodes or zones this pool keeps away from.",
  ),
});

const Supervision = section(
  {
    initial_ms: setting(ms(1, 600_000), 1000, "Delay before the first restart; it doubles each time."),
    max_ms: setting(ms(1, 3_600_000), 60_000, "The longest delay between restarts."),
    threshold: setting(positive(1000), 5, "Failures in a row that open the breaker."),
    open_s: setting(positive(86_400), 300, "Seconds the breaker stays open before one trial."),
    stable_s: setting(positive(86_400), 60, "Seconds a trial must stay up to close the breaker."),
    max_restarts: setting(positive(10_000), 10, "Restarts allowed in one window."),
    window_s: setting(positive(86_400), 60, "Length of that window in seconds."),
    reset_s: setting(
      positive(86_400),
      300,
      "Seconds of stable serving after which the counters start again.",
    ),
  },
  "How often a failing engine is started again.",
);

/** Names of the tensors a Triton backend reads and writes; they differ between releases. */
const Triton = section(
  {
    text_input: setting(text(128), "text_input", "The tensor with the prompt."),
    max_tokens: setting(text(128), "max_tokens", "The tensor with the token limit."),
    random_seed: setting(text(128), "random_seed", "The tensor with the seed."),
    stream: setting(text(128), "stream", "The tensor that asks for streaming."),
    text_output: setting(text(128), "text_output", "The tensor with the text."),
  },
  "Tensor names of a Triton pool.",
);

const ExtraMemory = section(
  {
    draft_model_bytes: setting(bytes(0), 0, "Weights of a draft model for speculative decoding."),
    prefix_cache_bytes: setting(bytes(0), 0, "Memory reserved for prefix caching."),
  },
  "Memory that the estimate of the model does not contain.",
);

/** What the orchestrator decides about a pool, whether a file names the pool or a node announces it. */
const waiting = {
  max_tokens_out: setting(positive(requestTokensMax), 50_000, "Output tokens one task may ask for."),
  sampler_profile_version: setting(
    SamplerProfile,
    "default",
    "Where sampling comes from when a task leaves it open.",
  ),
  queue: Queue,
  admission: Admission,
  timeouts: Timeouts,
  scheduling: Scheduling,
  preemption: Preemption,
};

export const PoolConfig = closed({
  id: required(PoolId, "The name of the pool; no two pools share one."),
  engine: required(EngineKind, "The kind of engine."),
  model: required(ModelRef, "The model every replica serves."),
  devices: required(
    Type.Array(Type.Integer({ minimum: 0, maximum: 1023 }), { maxItems: 64, uniqueItems: true }),
    "Indexes of the GPUs of one replica; empty exactly when allow_cpu is true.",
  ),
  allow_cpu: setting(Type.Boolean(), false, "Lets this pool serve on the CPU."),
  replicas: setting(positive(256), 1, "Engine processes of this pool."),
  slots: setting(positive(1024), 1, "Tasks one replica runs at a time."),
  determinism: derived(
    Determinism,
    "strict where the engine keeps its slots apart or has one slot, else best_effort",
    "strict gives byte-identical streams; best_effort lets slots share batches and caches.",
  ),
  quant: optional(text(64), "The quantisation of the model."),
  ctx: optional(positive(requestTokensMax), "Context length in tokens; the model's own when absent."),
  tensor_split: optional(
    Type.Array(Type.Number({ exclusiveMinimum: 0, maximum: 1 }), { minItems: 1, maxItems: 64 }),
    "The share of the model on each device; the shares add up to 1.",
  ),
  kv_cache_bytes: optional(bytes(), "KV cache of one replica; beyond it idle sessions are evicted."),
  extra_memory: ExtraMemory,
  preload: setting(Type.Boolean(), true, "Loads the model when serving begins."),
  require_same_engine_version: setting(
    Type.Boolean(),
    true,
    "Refuses a replica whose engine has another version than those of the pool that serve already.",
  ),
  provisioning: Provisioning,
  ...waiting,
  canary: optional(Canary, "A model tried on a part of the sessions."),
  anti_affinity: optional(AntiAffinity, "Where this pool must not run."),
  supervision: Supervision,
  triton: Triton,
});
export type PoolConfig = Resolved<typeof PoolConfig>;

/** The settings of a pool that no file names, but a node or a handoff announces. */
export const AnnouncedPool = closed(waiting);
export type AnnouncedPool = Resolved<typeof AnnouncedPool>;
