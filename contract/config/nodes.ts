// The fleet as the orchestrator sees it (`nodes`), this machine as its pool manager sees it (`node`), where
// tasks may be placed, and the engine servers that run already.

import Type from "typebox";
import { NodeId, PoolId, ReplicaId } from "../ids.ts";
import { PlacementStrategy } from "../words.ts";
import { EngineUrl, HttpUrl, ListenAddress, NodeAddress } from "./address.ts";
import { derived, ms, optional, path, positive, section, setting, text } from "./setting.ts";

export const Nodes = section(
  {
    pool_managers: setting(
      Type.Array(HttpUrl, { minItems: 1, maxItems: 1024, uniqueItems: true }),
      ["http://127.0.0.1:9200"],
      "Pool managers of the home profile.",
    ),
    poll_interval_ms: setting(ms(100, 60_000), 5000, "Time between two looks at the pools."),
    timeout_ms: setting(ms(5000, 300_000), 30_000, "A node that has been silent for so long is offline."),
    stale_check_interval_secs: setting(positive(60), 10, "Seconds between two checks for silent nodes."),
    runtime_dir: setting(
      path(),
      ".runtime/engines",
      "Where handoff files are watched for in the home profile.",
    ),
    watch_interval_ms: setting(ms(100, 10_000), 1000, "Time between two looks for handoff files."),
  },
  "How the orchestrator follows its nodes.",
);

export const Node = section(
  {
    cloud: setting(Type.Boolean(), false, "Whether this machine registers with an orchestrator elsewhere."),
    addr: derived(
      ListenAddress,
      "127.0.0.1:9200; with cloud 0.0.0.0:9200",
      "Where the pool manager listens; an address that other machines can reach needs a token.",
    ),
    address: optional(NodeAddress, "The URL under which the orchestrator reaches this pool manager."),
    orchestrator_url: optional(HttpUrl, "The orchestrator to register with."),
    id: derived(NodeId, "the host name", "The name of this node."),
    machine_id: derived(text(128), "the node id", "The name of the machine under the node."),
    zone: optional(text(128), "The zone of this machine, for anti-affinity."),
    pools: derived(
      Type.Array(PoolId, { minItems: 1, maxItems: 1024, uniqueItems: true }),
      "the pools of the file, else pool-0",
      "The pools this node serves.",
    ),
    register_on_startup: setting(Type.Boolean(), true, "Whether the node registers as soon as it runs."),
    heartbeat_interval_secs: setting(
      positive(60),
      10,
      "Seconds between heartbeats; less than the node timeout.",
    ),
    runtime_dir: setting(path(), ".runtime/engines", "Where pid, log and handoff files of engines lie."),
    watch_interval_ms: setting(ms(100, 10_000), 1000, "Time between two looks for handoff files."),
    auto_delete_handoff: setting(Type.Boolean(), true, "Whether a handoff file is deleted once it was read."),
    gpu_discovery_interval_ms: setting(ms(1000, 60_000), 10_000, "Time between two readings of the GPUs."),
    handoff_dir: setting(path(), ".runtime/engines", "Where the provisioner writes handoff files."),
    engine_cache_dir: setting(path(), "~/.cache/llama-orch", "Where built and downloaded engines are kept."),
    gpu_mask: setting(
      Type.String({ pattern: "^\\d+(,\\d+)*$", maxLength: 256, "x-accepts": "GPU indexes such as 0 or 0,1" }),
      "0",
      "The GPUs of an engine whose pool names none.",
    ),
  },
  "The pool manager of this machine.",
);

export const Placement = section(
  {
    strategy: setting(PlacementStrategy, "least-loaded", "What breaks ties between nodes."),
    allow_pin: setting(Type.Boolean(), true, "Whether a task may insist on a pool."),
    cache_ttl_ms: setting(
      ms(0, 600_000),
      10_000,
      "Taken and of no effect: no placement is reused, each is decided when a slot is free.",
    ),
  },
  "Where tasks go.",
);

export const Llamacpp = section(
  {
    url: optional(EngineUrl, "A llama-server that runs already and is bound directly."),
    pool: setting(PoolId, "default", "The pool it serves as."),
    replica: setting(ReplicaId, "r0", "The replica it serves as."),
  },
  "Direct binding of one external server.",
);
