// The table of environment variables: every name a daemon or a test reads, and what it sets. Range, default
// and secrecy of a variable that sets a key of the file are those of that key; nothing is said twice.

import Type, { type Static, type TSchema } from "typebox";
import { HttpUrl } from "./address.ts";

export type EnvironmentReader = "orchestratord" | "pool-managerd" | "provisioner" | "cli" | "tests";

export interface EnvironmentRow {
  /** Other names with lower precedence, read from left to right. */
  readonly aliases: readonly string[];
  readonly readBy: readonly EnvironmentReader[];
  readonly says: string;
  /** The key of the file it sets; `pools[]` means every pool. */
  readonly sets?: string;
  /** What it accepts when it sets no key of the file. */
  readonly accepts?: TSchema;
  /** Words that stand for values of the key. */
  readonly words?: Readonly<Record<string, unknown>>;
}

const orchestratord = { aliases: [], readBy: ["orchestratord"] } as const;
const poolManagerd = { aliases: [], readBy: ["pool-managerd"] } as const;
const both = { aliases: [], readBy: ["orchestratord", "pool-managerd"] } as const;
const provisioner = { aliases: [], readBy: ["provisioner"] } as const;
const cli = { aliases: [], readBy: ["cli"] } as const;
const tests = { aliases: [], readBy: ["tests"] } as const;

const profileWords = {
  true: "cloud",
  false: "home",
  1: "cloud",
  0: "home",
  cloud: "cloud",
  home: "home",
} as const;

export const ConfigMode = Type.Enum(["strict", "compat"], { default: "strict" });
export type ConfigMode = Static<typeof ConfigMode>;

export const environment = {
  ORCHD_ADDR: {
    ...orchestratord,
    aliases: ["ORCHESTRATORD_BIND_ADDR", "ORCHD_BIND_ADDR", "BIND_ADDR"],
    sets: "auth.bind_addr",
    says: "Where the orchestrator listens.",
  },
  ORCHESTRATORD_CLOUD_PROFILE: {
    ...orchestratord,
    aliases: ["ORCHD_PROFILE"],
    sets: "profile",
    words: profileWords,
    says: "Turns the cloud profile on; ORCHD_PROFILE=cloud is the older spelling.",
  },
  LLORCH_API_TOKEN: {
    readBy: ["orchestratord", "pool-managerd", "cli"],
    aliases: ["AUTH_TOKEN"],
    sets: "auth.token",
    says: "The bearer token of this installation; the cloud profile requires one.",
  },
  ORCHD_API_KEYS: {
    ...orchestratord,
    sets: "auth.api_keys",
    says: "A comma list of `key` or `tenant=key`; turns the key gate on.",
  },
  AUTH_OPTIONAL: {
    ...both,
    sets: "auth.auth_optional",
    says: "Lets callers on loopback omit the token; never a request that a proxy forwarded.",
  },
  ORCHD_ADMISSION_CAPACITY: {
    ...orchestratord,
    sets: "pools[].queue.capacity",
    says: "How many tasks may wait in each pool.",
  },
  ORCHD_ADMISSION_POLICY: {
    ...orchestratord,
    sets: "pools[].queue.full_policy",
    says: "What the full queue of each pool does with a newcomer.",
  },
  ORCHESTRATORD_PLACEMENT_STRATEGY: {
    ...orchestratord,
    sets: "placement.strategy",
    says: "What breaks ties between nodes.",
  },
  ORCHESTRATORD_NODE_TIMEOUT_MS: {
    ...orchestratord,
    sets: "nodes.timeout_ms",
    says: "A node that has been silent for so long is offline.",
  },
  ORCHESTRATORD_STALE_CHECK_INTERVAL_SECS: {
    ...orchestratord,
    sets: "nodes.stale_check_interval_secs",
    says: "Seconds between two checks for silent nodes.",
  },
  ORCHD_POOLS_CONFIG: {
    ...both,
    accepts: Type.String({ "x-accepts": "the path of a file that exists" }),
    says: "The configuration file.",
  },
  LLORCH_CONFIG_MODE: {
    ...both,
    accepts: ConfigMode,
    says: "strict refuses unknown keys of the file, compat warns about them and leaves them out.",
  },
  POOL_MANAGERD_URL: {
    ...orchestratord,
    aliases: ["ORCHD_POOL_MANAGERS"],
    sets: "nodes.pool_managers",
    says: "A comma list of the pool managers of the home profile.",
  },
  ORCHD_POOL_POLL_INTERVAL_MS: {
    ...orchestratord,
    sets: "nodes.poll_interval_ms",
    says: "Time between two looks at the pools.",
  },
  ORCHD_RUNTIME_DIR: {
    ...orchestratord,
    sets: "nodes.runtime_dir",
    says: "Where the orchestrator watches for handoff files in the home profile.",
  },
  ORCHD_HANDOFF_WATCH_INTERVAL_MS: {
    ...orchestratord,
    sets: "nodes.watch_interval_ms",
    says: "Time between two looks of the orchestrator for handoff files.",
  },
  ORCHD_LLAMACPP_URL: {
    ...orchestratord,
    sets: "llamacpp.url",
    says: "A llama-server that runs already and is bound directly.",
  },
  ORCHD_LLAMACPP_POOL: { ...orchestratord, sets: "llamacpp.pool", says: "The pool that server stands for." },
  ORCHD_LLAMACPP_REPLICA: {
    ...orchestratord,
    sets: "llamacpp.replica",
    says: "The replica that server stands for.",
  },
  ORCH_ARTIFACTS_FS_ROOT: {
    ...orchestratord,
    sets: "artifacts.root",
    says: "Where artifacts and transcripts are stored.",
  },
  ORCHD_SSE_MICROBATCH: {
    ...orchestratord,
    sets: "stream.microbatch",
    says: "Sends tokens that arrived together in one frame.",
  },
  ORCHD_SSE_HEARTBEAT_MS: {
    ...orchestratord,
    sets: "stream.heartbeat_ms",
    says: "Time between heartbeat comments of a stream; 0 sends none.",
  },
  CANCEL_ON_DISCONNECT: {
    ...orchestratord,
    sets: "stream.cancel_on_disconnect",
    says: "Whether a task is cancelled when its last reader stays away.",
  },
  ORCHD_CORS_ORIGINS: {
    ...orchestratord,
    sets: "network.cors_origins",
    says: "A comma list of web origins that may call.",
  },
  ORCHD_LOG_FORMAT: { ...both, sets: "telemetry.log_format", says: "The form of log lines." },
  LLORCH_LOG: {
    ...both,
    aliases: ["RUST_LOG"],
    sets: "telemetry.log_level",
    says: "The least level that is logged.",
  },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    ...both,
    sets: "telemetry.otlp_endpoint",
    says: "Where traces are sent with OTLP.",
  },
  PROMETHEUS_METRICS_PORT: {
    ...both,
    sets: "telemetry.metrics_port",
    says: "One more port that serves the metrics.",
  },
  LLORCH_ALLOW_CPU: {
    ...both,
    sets: "pools[].allow_cpu",
    says:
      "Lets every pool without devices serve on the CPU. It may only allow: off takes back nothing " +
      "that the file allows.",
  },
  LLORCH_DATA_DIR: {
    ...both,
    sets: "data_dir",
    says: "Where the journal, the store, artifacts and logs lie.",
  },
  POOL_MANAGERD_ADDR: {
    ...poolManagerd,
    aliases: ["POOL_MANAGERD_BIND_ADDR"],
    sets: "node.addr",
    says: "Where the pool manager listens.",
  },
  POOL_MANAGERD_CLOUD_PROFILE: {
    ...poolManagerd,
    sets: "node.cloud",
    says: "Makes the pool manager register with an orchestrator elsewhere.",
  },
  ORCHESTRATORD_URL: {
    ...poolManagerd,
    sets: "node.orchestrator_url",
    says: "The orchestrator to register with.",
  },
  POOL_MANAGERD_ADDRESS: {
    ...poolManagerd,
    sets: "node.address",
    says: "The URL under which the orchestrator reaches this pool manager.",
  },
  POOL_MANAGERD_NODE_ID: { ...poolManagerd, sets: "node.id", says: "The name of this node." },
  POOL_MANAGERD_MACHINE_ID: {
    ...poolManagerd,
    sets: "node.machine_id",
    says: "The name of the machine under the node.",
  },
  POOL_MANAGERD_POOLS: {
    ...poolManagerd,
    sets: "node.pools",
    says: "A comma list of the pools this node serves.",
  },
  POOL_MANAGERD_HEARTBEAT_INTERVAL_SECS: {
    ...poolManagerd,
    sets: "node.heartbeat_interval_secs",
    says: "Seconds between heartbeats; less than the node timeout.",
  },
  ORCHESTRATORD_REGISTER_ON_STARTUP: {
    ...poolManagerd,
    sets: "node.register_on_startup",
    says: "Whether the node registers as soon as it runs.",
  },
  POOL_MANAGERD_RUNTIME_DIR: {
    ...poolManagerd,
    sets: "node.runtime_dir",
    says: "Where pid, log and handoff files of engines lie.",
  },
  POOL_MANAGERD_WATCH_INTERVAL_MS: {
    ...poolManagerd,
    sets: "node.watch_interval_ms",
    says: "Time between two looks of the pool manager for handoff files.",
  },
  POOL_MANAGERD_AUTO_DELETE_HANDOFF: {
    ...poolManagerd,
    sets: "node.auto_delete_handoff",
    says: "Whether a handoff file is deleted once it was read.",
  },
  POOL_MANAGERD_GPU_DISCOVERY_INTERVAL_MS: {
    ...poolManagerd,
    sets: "node.gpu_discovery_interval_ms",
    says: "Time between two readings of the GPUs.",
  },
  ENGINE_PROVISIONER_HANDOFF_DIR: {
    ...provisioner,
    sets: "node.handoff_dir",
    says: "Where the provisioner writes handoff files.",
  },
  ENGINE_PROVISIONER_CACHE_DIR: {
    ...provisioner,
    sets: "node.engine_cache_dir",
    says: "Where built and downloaded engines are kept.",
  },
  ENGINE_PROVISIONER_GPU_MASK: {
    ...provisioner,
    sets: "node.gpu_mask",
    says: "The GPUs of an engine whose pool names none.",
  },
  LLORCH_URL: { ...cli, accepts: HttpUrl, says: "The orchestrator that `llorch` talks to." },
  LLORCH_API_KEY: {
    ...cli,
    accepts: Type.String({ "x-accepts": "an API key", "x-secret": true }),
    says: "The API key that `llorch` sends.",
  },
  LLORCH_RUN_ID: { ...tests, accepts: Type.String(), says: "The name of a proof bundle's run." },
  LLORCH_PROOF_DIR: {
    ...tests,
    accepts: Type.String({ "x-accepts": "a path" }),
    says: "The folder under which proof bundles are written.",
  },
  LLORCH_BDD_FEATURE_PATH: {
    ...tests,
    accepts: Type.String({ "x-accepts": "a path" }),
    says: "The feature file or folder that the BDD suite is limited to.",
  },
  REQUIRE_REAL_LLAMA: {
    ...tests,
    accepts: Type.Boolean(),
    says: "Selects the suites that need a real engine on a GPU.",
  },
  HTTP_UTIL_TEST_SEED: {
    ...tests,
    accepts: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    says: "Seeds the delays of the HTTP client's retries.",
  },
} as const satisfies Record<string, EnvironmentRow>;

export type EnvironmentName = keyof typeof environment;
export const environmentNames = Object.keys(environment) as EnvironmentName[];
