// The state as plain JSON and back. What can be derived from the rest (indexes, heaps, links) is built anew;
// what cannot, such as the order of queues and the tags of flows, is written down, so that a restored state
// decides exactly as the old one would have.

import type { Priority } from "@llama-orch/contract";
import { tenantOf } from "./admission/tenant.ts";
import { newPool } from "./configure.ts";
import { Few } from "./few.ts";
import { newSet } from "./placement/replica-set.ts";
import type { FairSnapshot } from "./queue/fair.ts";
import type { QueueHandle } from "./queue/queue.ts";
import { joinPool, placeOf } from "./queue/waiting.ts";
import { Random, type RandomState } from "./random.ts";
import type {
  Bucket,
  ClassHealth,
  Known,
  Live,
  Model,
  Node,
  Pool,
  Replica,
  ReplicaSet,
  Running,
  Session,
  State,
  Tenant,
  Waiting,
} from "./state.ts";

export interface Snapshot {
  readonly version: 1;
  readonly scalars: Pick<
    State,
    "settings" | "nowMs" | "ordinal" | "lastPlace" | "sessionSweep" | "storageFull" | "stopping"
  >;
  readonly random: RandomState;
  readonly lives: readonly LiveRecord[];
  readonly pools: readonly PoolRecord[];
  readonly sets: readonly SetRecord[];
  readonly ended: readonly Omit<Known, "live">[];
  readonly models: readonly (readonly [string, Model])[];
  readonly nodes: readonly (readonly [string, Node])[];
  readonly sessions: readonly Session[];
  readonly idleSessions: readonly Pick<Session, "tenantId" | "sessionId">[];
  readonly tenants: readonly (readonly [string, Tenant])[];
  readonly rateBuckets: readonly (readonly [string, Bucket])[];
  readonly classes: readonly (readonly [Priority, ClassHealth])[];
  readonly timers: readonly (readonly [string, number])[];
}

type LiveRecord = Omit<Live, "place" | "watched" | "faultsByReplica" | "known" | "tenant" | "session"> & {
  /** Null where its session was deleted. */
  readonly sessionSerial: number | null;
  readonly known: Omit<Known, "live">;
  readonly faultsByReplica: readonly (readonly [string, number])[];
  readonly running: Omit<Running, "replica"> | null;
};

/** With the jobs it runs, in the order in which they came. */
type ReplicaRecord = Omit<Replica, "running"> & { readonly running: readonly string[] };

type PoolRecord = Omit<Pool, "replicas" | "departed" | "waiting" | "waitingTokens" | "waitingBodyBytes"> & {
  readonly replicas: readonly ReplicaRecord[];
  readonly departed: readonly ReplicaRecord[];
  readonly waiting: Record<Priority, readonly string[]>;
};

type SetRecord = Pick<ReplicaSet, "id" | "key" | "unseen" | "settings" | "arrivals"> & {
  readonly replicas: readonly (readonly [string, string])[];
  readonly fair: FairSnapshot;
  readonly queue: readonly string[];
  readonly returns: readonly string[];
};

/** Shares nothing with the living state. */
export function snapshotOf(state: State): Snapshot {
  return JSON.parse(snapshotTextOf(state)) as Snapshot;
}

/** For whoever writes it down: a large state is not copied first. */
export function snapshotTextOf(state: State): string {
  const { settings, nowMs, ordinal, lastPlace, sessionSweep, storageFull, stopping } = state;
  const snapshot: Snapshot = {
    version: 1,
    scalars: { settings, nowMs, ordinal, lastPlace, sessionSweep, storageFull, stopping },
    random: state.random.state(),
    lives: [...state.jobs.values()].map(liveRecord),
    pools: [...state.pools.values()].map(poolRecord),
    sets: [...state.sets.values()].map(setRecord),
    ended: state.ended.items().filter(isNamed(state)).map(withoutLive),
    models: [...state.models],
    nodes: [...state.nodes],
    sessions: [...state.sessions.values()],
    idleSessions: [...state.idleSessions.entries()].map(([, { tenantId, sessionId }]) => ({
      tenantId,
      sessionId,
    })),
    tenants: [...state.tenants],
    rateBuckets: [...state.rateBuckets.entries()],
    classes: [...state.classes],
    timers: [...state.timers],
  };
  return JSON.stringify(snapshot);
}

/** A copy that shares nothing with the given, and is what JSON would carry. */
function structuredCloneJson<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

const ids = (lives: Iterable<Live>): string[] => [...lives].map((live) => live.jobId);

function liveRecord({ place, watched, faultsByReplica, known, tenant, session, ...rest }: Live): LiveRecord {
  const { replica: _replica, ...running } = place?.kind === "running" ? place : { replica: undefined };
  return {
    ...rest,
    sessionSerial: session === undefined || session.deleted ? null : session.serial,
    known: withoutLive(known),
    faultsByReplica: [...(faultsByReplica ?? [])],
    running: "attempt" in running ? running : null,
  };
}

/** A name that was withdrawn is free: who has it next must not find the old answer. */
function isNamed({ tasks }: State): (known: Known) => boolean {
  return ({ tenantId, taskId }) => tasks.get(tenantId, taskId) !== undefined;
}

function withoutLive({ live: _live, ...known }: Known): Omit<Known, "live"> {
  return known;
}

function poolRecord({
  replicas,
  departed,
  waiting,
  waitingTokens,
  waitingBodyBytes,
  ...rest
}: Pool): PoolRecord {
  return {
    ...rest,
    replicas: [...replicas.values()].map(replicaRecord),
    departed: [...departed].map(replicaRecord),
    waiting: { interactive: ids(waiting.interactive.items()), batch: ids(waiting.batch.items()) },
  };
}

function replicaRecord({ running, ...rest }: Replica): ReplicaRecord {
  return { ...rest, running: ids(running) };
}

function setRecord({ replicas, queue, returns, ...rest }: ReplicaSet): SetRecord {
  return {
    ...rest,
    replicas: replicas.map(({ poolId, replicaId }) => [poolId, replicaId] as const),
    fair: queue.snapshot(),
    queue: ids(queue.items()),
    returns: ids(returns.items()),
  };
}

export function restoreState(state: State, given: Snapshot): void {
  const snapshot = structuredCloneJson(given);
  Object.assign(state, { lastPlace: undefined }, snapshot.scalars);
  state.random = new Random(snapshot.random);
  for (const record of snapshot.ended) {
    const known: Known = { ...record, live: undefined };
    state.ended.push(known);
    state.tasks.set(known.tenantId, known.taskId, known);
  }
  fill(state.models, snapshot.models);
  fill(state.nodes, snapshot.nodes);
  for (const session of snapshot.sessions) state.sessions.set(session.tenantId, session.sessionId, session);
  for (const { tenantId, sessionId } of snapshot.idleSessions) {
    const session = state.sessions.get(tenantId, sessionId) as Session;
    state.idleSessions.set(session.key, session);
  }
  fill(state.tenants, snapshot.tenants);
  fill(state.rateBuckets, snapshot.rateBuckets);
  fill(state.classes, snapshot.classes);
  fill(state.timers, snapshot.timers);
  for (const record of snapshot.lives) restoreLive(state, record);
  const attempts = new Map(snapshot.lives.map(({ jobId, running }) => [jobId, running]));
  for (const record of snapshot.pools) restorePool(state, attempts, record);
  for (const record of snapshot.sets) restoreSet(state, record);
  for (const record of snapshot.pools) restoreArrivals(state, record);
}

function fill<K, V>(map: { set(key: K, value: V): void }, entries: readonly (readonly [K, V])[]): void {
  for (const [key, value] of entries) map.set(key, value);
}

type Attempts = ReadonlyMap<string, LiveRecord["running"]>;

function restorePool(state: State, attempts: Attempts, record: PoolRecord): void {
  const { replicas, departed, waiting, ...rest } = record;
  const pool: Pool = { ...newPool(rest.settings), ...rest };
  for (const replica of replicas) {
    pool.replicas.set(replica.replicaId, restoreReplica(state, attempts, replica));
  }
  for (const replica of departed) pool.departed.add(restoreReplica(state, attempts, replica));
  state.pools.set(pool.id, pool);
}

function restoreReplica(state: State, attempts: Attempts, { running, ...rest }: ReplicaRecord): Replica {
  const replica: Replica = { ...rest, running: new Few() };
  for (const jobId of running) {
    const live = state.jobs.get(jobId) as Live;
    live.place = { ...(attempts.get(jobId) as Running), replica };
    replica.running.add(live);
  }
  return replica;
}

function restoreLive(
  state: State,
  { running: _running, faultsByReplica, known, sessionSerial, ...rest }: LiveRecord,
): void {
  const session = state.sessions.get(rest.tenantId, rest.task.sessionId);
  const live: Live = {
    ...rest,
    tenant: tenantOf(state, rest.tenantId),
    session: session?.serial === sessionSerial ? session : undefined,
    known: { ...known, live: undefined },
    faultsByReplica: faultsByReplica.length > 0 ? new Map(faultsByReplica) : undefined,
    place: undefined,
    watched: false,
  };
  state.jobs.set(live.jobId, live);
  if (!live.over) {
    live.known.live = live;
    state.tasks.set(live.tenantId, live.task.taskId, live.known);
  }
}

function restoreSet(state: State, record: SetRecord): void {
  const replicas = record.replicas.map(
    ([poolId, replicaId]) => state.pools.get(poolId)?.replicas.get(replicaId) as Replica,
  );
  const set = newSet(record.id, record.key, record.settings);
  set.unseen = record.unseen;
  set.replicas.push(...replicas);
  Object.assign(set.arrivals, record.arrivals);
  state.sets.set(set.id, set);
  const queued = record.queue.map((jobId) => state.jobs.get(jobId) as Live);
  const handles = set.queue.restore(record.fair, queued);
  for (const [i, live] of queued.entries()) wait(state, live, handles[i] as QueueHandle<Live>, false);
  for (const jobId of record.returns) {
    const live = state.jobs.get(jobId) as Live;
    wait(state, live, set.returns.push(live), true);
  }
}

/** The order in which tasks came to a pool is another one than that in which they leave. */
function restoreArrivals(state: State, { id, waiting }: PoolRecord): void {
  const pool = state.pools.get(id) as Pool;
  for (const jobId of [...waiting.interactive, ...waiting.batch]) {
    const live = state.jobs.get(jobId) as Live;
    joinPool(pool, live.place as Waiting);
  }
}

function wait(state: State, live: Live, handle: QueueHandle<Live>, returned: boolean): void {
  live.place = placeOf(live, handle, returned);
  state.deadlines.add(live);
}
