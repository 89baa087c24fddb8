// Machines of a cluster: how a pool-managerd introduces itself, says that it lives, and how the orchestrator
// lists what is where.

import Type, { type Static } from "typebox";
import { NodeAddress } from "./config/address.ts";
import { tooManyFree } from "./handoff.ts";
import { NodeId, PoolId, ReplicaId } from "./ids.ts";
import { count } from "./number.ts";
import { parser } from "./parse.ts";
import { invalidParams } from "./problem.ts";

const text = Type.String({ minLength: 1 });

/** May be empty and may hold keys of newer nodes. */
export const NodeCapabilities = Type.Object(
  {
    gpus: Type.Optional(
      Type.Array(
        Type.Object({
          device_id: count,
          name: Type.String(),
          vram_total_bytes: count,
          compute_capability: Type.String(),
        }),
      ),
    ),
    cpu_cores: Type.Optional(count),
    ram_total_bytes: Type.Optional(count),
  },
  { title: "NodeCapabilities", additionalProperties: true },
);

export const NodeRegistration = Type.Object(
  {
    node_id: NodeId,
    machine_id: text,
    address: NodeAddress,
    pools: Type.Array(PoolId),
    capabilities: NodeCapabilities,
    version: Type.Optional(Type.String()),
  },
  { title: "NodeRegistration" },
);
export type NodeRegistration = Static<typeof NodeRegistration>;
export const parseNodeRegistration = parser(NodeRegistration);

export const NodeRegistered = Type.Object(
  { success: Type.Boolean(), message: Type.String(), node_id: NodeId },
  { title: "NodeRegistered" },
);
export type NodeRegistered = Static<typeof NodeRegistered>;

export const NodePool = Type.Object(
  {
    pool_id: PoolId,
    ready: Type.Boolean(),
    draining: Type.Boolean(),
    slots_free: count,
    slots_total: count,
    vram_free_bytes: count,
    engine: Type.Optional(Type.String()),
    models_available: Type.Optional(Type.Array(Type.String())),
  },
  { title: "NodePool" },
);
export type NodePool = Static<typeof NodePool>;

const clock = "([01]\\d|2[0-3]):[0-5]\\d";
const rfc3339 =
  "^\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])" +
  `[Tt]${clock}:([0-5]\\d|60)(\\.\\d+)?([Zz]|[+-]${clock})$`;
const timeAccepts = "an RFC 3339 time such as 2026-01-31T12:00:00Z";

export const Heartbeat = Type.Object(
  {
    timestamp: Type.String({ pattern: rfc3339, maxLength: 64, "x-accepts": timeAccepts }),
    pools: Type.Array(NodePool),
  },
  { title: "Heartbeat" },
);
export interface Heartbeat extends Static<typeof Heartbeat> {
  pools: (NodePool & { models_available: string[] })[];
}

const parseHeartbeatShape = parser(Heartbeat);

/** Fills in what a heartbeat may leave out, and judges what no schema can compare. */
export function parseHeartbeat(value: unknown): Heartbeat {
  const { timestamp, pools } = parseHeartbeatShape(value);
  const problems = pools.flatMap(({ slots_free, slots_total }, index) =>
    tooManyFree(`pools[${index}].slots_free`, slots_free, slots_total),
  );
  if (!isDay(timestamp)) {
    const given = JSON.stringify(timestamp);
    problems.unshift({ path: "timestamp", given, accepted: timeAccepts, unknownKey: false });
  }
  if (problems.length > 0) throw invalidParams(problems);
  return { timestamp, pools: pools.map((pool) => ({ models_available: [], ...pool })) };
}

/** Whether the month has that day. */
function isDay(timestamp: string): boolean {
  const [year = 0, month = 0, day = 0] = timestamp.slice(0, 10).split("-").map(Number);
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  if (month === 2) return day <= (leap ? 29 : 28);
  return day <= ([4, 6, 9, 11].includes(month) ? 30 : 31);
}

export const HeartbeatReply = Type.Object(
  { success: Type.Boolean(), next_heartbeat_ms: count },
  { title: "HeartbeatReply" },
);
export type HeartbeatReply = Static<typeof HeartbeatReply>;

export const NodeStatus = Type.Enum(["Registering", "Online", "Draining", "Offline", "Failed"]);
export type NodeStatus = Static<typeof NodeStatus>;

export const NodeRecord = Type.Object(
  {
    ...NodeRegistration.properties,
    status: NodeStatus,
    registered_at_ms: count,
    last_heartbeat_ms: count,
  },
  { title: "NodeRecord" },
);
export type NodeRecord = Static<typeof NodeRecord>;

export const NodeList = Type.Object({ nodes: Type.Array(NodeRecord), count }, { title: "NodeList" });
export type NodeList = Static<typeof NodeList>;

/**
 * A model is replicated when it is on every online node and there are at least two; single when on exactly
 * one.
 */
export const Availability = Type.Object(
  {
    nodes: Type.Record(
      Type.String(),
      Type.Object({
        node_id: NodeId,
        address: Type.String(),
        online: Type.Boolean(),
        models: Type.Array(Type.String()),
        pools: Type.Array(
          Type.Object({ pool_id: PoolId, ready: Type.Boolean(), models: Type.Array(Type.String()) }),
        ),
      }),
    ),
    total_models: count,
    replicated_models: Type.Array(Type.String()),
    single_node_models: Type.Array(Type.String()),
  },
  { title: "Availability" },
);
export type Availability = Static<typeof Availability>;

/** Where a task goes; an all-local installation has no node and no address. */
export const PlacementDecision = Type.Object(
  {
    node_id: Type.Union([NodeId, Type.Null()]),
    pool_id: PoolId,
    replica_id: Type.Union([ReplicaId, Type.Null()]),
    node_address: Type.Union([Type.String(), Type.Null()]),
  },
  { title: "PlacementDecision" },
);
export type PlacementDecision = Static<typeof PlacementDecision>;
