// The rows of pool-managerd. Its only caller is the orchestrator, so failures are one sentence, not an
// envelope.

import Type from "typebox";
import {
  DrainRequest,
  LeaseReply,
  PoolManagerError,
  PoolManagerHealth,
  PoolStatus,
  PreloadReply,
  PreloadRequest,
  ReloadRequest,
  SwapReply,
} from "../pool.ts";
import type { Reply, Route } from "./route.ts";

const limitBytes = 1_048_576;

const failure = (says: string, sentence: string): Reply => ({
  says,
  schema: PoolManagerError,
  example: { error: sentence },
});
const unknownPool = failure("No such pool.", "Pool haiku is not configured on this machine.");
const broken = failure("It failed.", "The engine left with code 1; its log names the reason.");

export const poolManagerRoutes: readonly Route[] = [
  {
    id: "getHealth",
    method: "GET",
    path: "/health",
    tag: "daemon",
    summary: "Whether the daemon lives.",
    auth: "open",
    replies: {
      200: { says: "It does.", schema: PoolManagerHealth, example: { status: "ok", version: "0.1.0" } },
    },
    errors: [],
  },
  {
    id: "getPoolStatus",
    method: "GET",
    path: "/pools/{id}/status",
    tag: "pools",
    summary: "What a pool is and can take now.",
    auth: "token",
    replies: {
      200: {
        says: "The status.",
        schema: PoolStatus,
        example: {
          pool_id: "haiku",
          live: true,
          ready: true,
          draining: false,
          active_leases: 0,
          slots_total: 2,
          slots_free: 2,
          engine_version: "b4567",
          models_available: ["haiku"],
        },
      },
      404: unknownPool,
      500: broken,
    },
    errors: [],
  },
  {
    id: "preloadPool",
    method: "POST",
    path: "/pools/{id}/preload",
    tag: "pools",
    summary: "Start an engine and wait until it serves.",
    auth: "token",
    body: { schema: PreloadRequest, example: { model_id: "haiku", engine: "llamacpp" }, limitBytes },
    replies: {
      200: {
        says: "It serves.",
        schema: PreloadReply,
        example: { pool_id: "haiku", pid: 4242, handoff_path: ".runtime/engines/haiku-r0.json" },
      },
      404: unknownPool,
      500: broken,
    },
    errors: [],
  },
  {
    id: "drainOwnPool",
    method: "POST",
    path: "/pools/{id}/drain",
    tag: "pools",
    summary: "Give no more leases; stop the engine when all have come back or the deadline has passed.",
    auth: "token",
    body: { schema: DrainRequest, example: { deadline_ms: 30_000 }, limitBytes },
    replies: {
      202: { says: "Draining; the status tells how it ended.", schema: Type.Object({}), example: {} },
      404: unknownPool,
    },
    errors: [],
  },
  {
    id: "reloadOwnPool",
    method: "POST",
    path: "/pools/{id}/reload",
    tag: "pools",
    summary: "Swap the model, or roll back.",
    auth: "token",
    body: {
      schema: ReloadRequest,
      example: { new_model_ref: "haiku@2", drain_deadline_ms: 10_000 },
      limitBytes,
    },
    replies: {
      200: {
        says: "Swapped.",
        schema: SwapReply,
        example: { success: true, rolled_back: false, new_engine_version: "b4567", duration_ms: 2150 },
      },
      404: unknownPool,
      409: {
        says: "Rolled back; the old model serves.",
        schema: SwapReply,
        example: { success: false, rolled_back: true, duration_ms: 121_000 },
      },
    },
    errors: [],
  },
  {
    id: "takeLease",
    method: "POST",
    path: "/pools/{id}/leases",
    tag: "leases",
    summary: "Count one more attempt on the pool.",
    auth: "token",
    replies: {
      200: { says: "Taken.", schema: LeaseReply, example: { active_leases: 1 } },
      404: unknownPool,
      409: failure("The pool is draining.", "Pool haiku is draining and gives no leases."),
    },
    errors: [],
  },
  {
    id: "returnLease",
    method: "DELETE",
    path: "/pools/{id}/leases/{lease}",
    tag: "leases",
    summary: "Give a lease back.",
    auth: "token",
    replies: {
      200: { says: "Given back.", schema: LeaseReply, example: { active_leases: 0 } },
      404: unknownPool,
    },
    errors: [],
  },
];
