// The rows of /v2: lists for operators, the model catalog, and the nodes of a cluster.

import {
  CatalogEntry,
  CatalogInput,
  CatalogList,
  StateReply,
  StateRequest,
  Verification,
} from "../catalog-entry.ts";
import {
  Availability,
  Heartbeat,
  HeartbeatReply,
  NodeList,
  NodeRegistered,
  NodeRegistration,
} from "../node.ts";
import { PageQuery, TaskList, TaskQuery, TaskView } from "../operator.ts";
import { PoolList } from "../pool.ts";
import type { Route } from "./route.ts";

const limitBytes = 1_048_576;
const digest = "sha256:3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7";

const taskView = {
  task_id: "poem-1",
  job_id: "0b9fcd64-9a0c-4d3c-9b59-6b1d3f6b6f0a",
  session_id: "evening",
  tenant_id: "default",
  workload: "completion",
  model_ref: "haiku",
  engine: "llamacpp",
  priority: "interactive",
  state: "running",
  pool_id: "haiku",
  replica_id: "r0",
  attempt: 1,
  queue_position: null,
  predicted_start_ms: null,
  submitted_at_ms: 1_700_000_000_000,
  started_at_ms: 1_700_000_000_850,
  ended_at_ms: null,
  deadline_at_ms: 1_700_000_030_000,
  tokens_out: 12,
};

const catalogEntry = {
  id: "hf:maker/model/model-q4.gguf",
  local_path: "/var/lib/models/model-q4.gguf",
  lifecycle: "Active",
  digest,
  last_verified_ms: 1_700_000_000_000,
  tags: ["chat"],
  manifests: [{ digest, size_bytes: 4_370_000_000 }],
  signatures: [],
  sbom: null,
  trust_policy: null,
  created_ms: 1_700_000_000_000,
};

const poolView = {
  pool_id: "haiku",
  engine: "llamacpp",
  model_ref: "haiku",
  determinism: "strict",
  compute: "cpu",
  devices: [],
  replica_set_id: "rs-1f0c7d52",
  health: {
    live: true,
    ready: true,
    draining: false,
    metrics: { queue_depth: 0, slots_total: 1, slots_free: 1 },
    last_error: null,
  },
  replicas: [{ replica_id: "r0", ready: true, slots_total: 1, slots_free: 1, engine_version: "b4567" }],
};

const node = {
  node_id: "attic",
  machine_id: "8d1c",
  address: "http://10.0.0.7:9200",
  pools: ["pool-0"],
  capabilities: {
    gpus: [{ device_id: 0, name: "RTX 3090", vram_total_bytes: 25_769_803_776, compute_capability: "8.6" }],
  },
  version: "0.1.0",
};

const listRoutes: readonly Route[] = [
  {
    id: "listTasks",
    method: "GET",
    path: "/v2/tasks",
    tag: "lists",
    summary: "Tasks, newest first, one page at a time.",
    auth: "key",
    query: TaskQuery,
    replies: { 200: { says: "One page.", schema: TaskList, example: { tasks: [taskView] } } },
    errors: ["INVALID_PARAMS"],
  },
  {
    id: "getTask",
    method: "GET",
    path: "/v2/tasks/{id}",
    tag: "lists",
    summary: "One task with its state.",
    auth: "key",
    replies: { 200: { says: "The task.", schema: TaskView, example: taskView } },
    errors: ["NOT_FOUND"],
  },
  {
    id: "listPools",
    method: "GET",
    path: "/v2/pools",
    tag: "lists",
    summary: "All pools with their replicas.",
    auth: "key",
    replies: { 200: { says: "The pools.", schema: PoolList, example: { pools: [poolView], count: 1 } } },
    errors: [],
  },
];

const catalogRoutes: readonly Route[] = [
  {
    id: "listModels",
    method: "GET",
    path: "/v2/catalog/models",
    tag: "catalog",
    summary: "Models of the catalog, one page at a time.",
    auth: "token",
    query: PageQuery,
    replies: { 200: { says: "One page.", schema: CatalogList, example: { models: [catalogEntry] } } },
    errors: ["INVALID_PARAMS"],
  },
  {
    id: "createModel",
    method: "POST",
    path: "/v2/catalog/models",
    tag: "catalog",
    summary: "Enter a model into the catalog.",
    auth: "token",
    body: { schema: CatalogInput, example: { id: catalogEntry.id, digest, tags: ["chat"] }, limitBytes },
    replies: { 201: { says: "Entered.", schema: CatalogEntry, example: catalogEntry } },
    errors: ["UNTRUSTED_ARTIFACT"],
  },
  {
    id: "getModel",
    method: "GET",
    path: "/v2/catalog/models/{id}",
    tag: "catalog",
    summary: "One model of the catalog.",
    auth: "token",
    replies: { 200: { says: "The model.", schema: CatalogEntry, example: catalogEntry } },
    errors: ["NOT_FOUND"],
  },
  {
    id: "deleteModel",
    method: "DELETE",
    path: "/v2/catalog/models/{id}",
    tag: "catalog",
    summary: "Take a model out of the catalog.",
    auth: "token",
    replies: { 204: { says: "Taken out." } },
    errors: ["NOT_FOUND"],
  },
  {
    id: "verifyModel",
    method: "POST",
    path: "/v2/catalog/models/{id}/verify",
    tag: "catalog",
    summary: "Check a model's digest, signature and SBOM again.",
    auth: "token",
    replies: {
      202: {
        says: "Checked.",
        schema: Verification,
        example: { id: catalogEntry.id, result: "pass", last_verified_ms: 1_700_000_000_000 },
      },
    },
    errors: ["NOT_FOUND"],
  },
  {
    id: "setModelState",
    method: "POST",
    path: "/v2/catalog/models/{id}/state",
    tag: "catalog",
    summary: "Move a model along its lifecycle; admission follows in the same turn.",
    auth: "token",
    body: { schema: StateRequest, example: { state: "Deprecated", deadline_ms: 60_000 }, limitBytes },
    replies: {
      202: { says: "Moved.", schema: StateReply, example: { id: catalogEntry.id, state: "Deprecated" } },
    },
    errors: ["NOT_FOUND", "LIFECYCLE_CONFLICT"],
  },
];

const nodeRoutes: readonly Route[] = [
  {
    id: "registerNode",
    method: "POST",
    path: "/v2/nodes/register",
    tag: "nodes",
    summary: "Join the cluster; registering again replaces what was known.",
    auth: "token",
    body: { schema: NodeRegistration, example: node, limitBytes },
    replies: {
      200: {
        says: "Online from now.",
        schema: NodeRegistered,
        example: { success: true, message: "Node attic is online.", node_id: "attic" },
      },
    },
    errors: ["CLOUD_DISABLED"],
  },
  {
    id: "heartbeatNode",
    method: "POST",
    path: "/v2/nodes/{id}/heartbeat",
    tag: "nodes",
    summary: "Say that the node lives and what its pools can take.",
    auth: "token",
    body: {
      schema: Heartbeat,
      example: {
        timestamp: "2026-01-31T12:00:00Z",
        pools: [
          {
            pool_id: "pool-0",
            ready: true,
            draining: false,
            slots_free: 4,
            slots_total: 4,
            vram_free_bytes: 20_000_000_000,
            models_available: ["haiku"],
          },
        ],
      },
      limitBytes,
    },
    replies: {
      200: { says: "Heard.", schema: HeartbeatReply, example: { success: true, next_heartbeat_ms: 10_000 } },
    },
    errors: ["NOT_FOUND", "CLOUD_DISABLED"],
  },
  {
    id: "deregisterNode",
    method: "DELETE",
    path: "/v2/nodes/{id}",
    tag: "nodes",
    summary: "Leave the cluster.",
    auth: "token",
    replies: { 204: { says: "Left." } },
    errors: ["NOT_FOUND", "CLOUD_DISABLED"],
  },
  {
    id: "listNodes",
    method: "GET",
    path: "/v2/nodes",
    tag: "nodes",
    summary: "All registered nodes with their status.",
    auth: "token",
    replies: {
      200: {
        says: "The nodes.",
        schema: NodeList,
        example: {
          nodes: [
            {
              ...node,
              status: "Online",
              registered_at_ms: 1_700_000_000_000,
              last_heartbeat_ms: 1_700_000_010_000,
            },
          ],
          count: 1,
        },
      },
    },
    errors: ["CLOUD_DISABLED"],
  },
  {
    id: "getAvailability",
    method: "GET",
    path: "/v2/catalog/availability",
    tag: "nodes",
    summary: "Which models are on which nodes.",
    auth: "token",
    replies: {
      200: {
        says: "The availability.",
        schema: Availability,
        example: {
          nodes: {
            attic: {
              node_id: "attic",
              address: "http://10.0.0.7:9200",
              online: true,
              models: ["haiku"],
              pools: [{ pool_id: "pool-0", ready: true, models: ["haiku"] }],
            },
          },
          total_models: 1,
          replicated_models: [],
          single_node_models: ["haiku"],
        },
      },
    },
    errors: ["CLOUD_DISABLED"],
  },
];

export const operatorRoutes: readonly Route[] = [...listRoutes, ...catalogRoutes, ...nodeRoutes];
