// The state that `handle` changes, in structures that make each decision cheap. One object owns all of it;
// every handler receives it for the length of one event.

import type { Determinism, EngineKind, ModelState, Priority, Task } from "@llama-orch/contract";
import { ByTenant } from "./by-tenant.ts";
import type { Effect } from "./effects.ts";
import type { Drain } from "./estimate/backoff.ts";
import type { Rates } from "./estimate/rates.ts";
import type { ReplicaFacts, ReplicaStatus } from "./events.ts";
import type { Few } from "./few.ts";
import type { Answer, LostReason } from "./outcome.ts";
import type { ModelNeeds } from "./placement/feasible.ts";
import { Backlog } from "./queue/backlog.ts";
import { Deadlines } from "./queue/deadlines.ts";
import type { FairItem, FairQueue } from "./queue/fair.ts";
import type { Fifo, Link } from "./queue/fifo.ts";
import type { QueueHandle } from "./queue/queue.ts";
import { Recent } from "./queue/recent.ts";
import { Random } from "./random.ts";
import { type ClassObjectives, noSettings, type PoolSettings, type Settings } from "./settings.ts";

/** What handlers work with during one event. */
export interface Core {
  readonly state: State;
  readonly nowMs: number;
  emit(effect: Effect): void;
}

export interface State {
  settings: Settings;
  nowMs: number;
  ordinal: number;
  random: Random;
  /** Live tasks by job id. */
  readonly jobs: Map<string, Live>;
  /** Accepted tasks by tenant and task id, ended ones too while their first answer is remembered. */
  readonly tasks: ByTenant<Known>;
  /** Ended tasks, longest ended first; an id that was accepted again stands here once for each end. */
  readonly ended: Backlog<Known>;
  /** Where round-robin placed last. */
  lastPlace: string | undefined;
  readonly pools: Map<string, Pool>;
  readonly sets: Map<string, ReplicaSet>;
  readonly models: Map<string, Model>;
  readonly nodes: Map<string, Node>;
  readonly sessions: ByTenant<Session>;
  readonly idleSessions: Recent<Session>;
  readonly tenants: Map<string, Tenant>;
  readonly rateBuckets: Recent<Bucket>;
  readonly classes: Map<Priority, ClassHealth>;
  /** Waiting tasks by deadline; the deadline timer waits for its first. */
  readonly deadlines: Deadlines<Live>;
  /** Timers that are set, so that another process can set them again. */
  readonly timers: Map<string, number>;
  sessionSweep: boolean;
  storageFull: boolean;
  stopping: boolean;
}

export function emptyState(seed: number): State {
  return {
    settings: noSettings,
    nowMs: 0,
    ordinal: 0,
    random: Random.seeded(seed),
    jobs: new Map(),
    tasks: new ByTenant(),
    ended: new Backlog(),
    lastPlace: undefined,
    pools: new Map(),
    sets: new Map(),
    models: new Map(),
    nodes: new Map(),
    sessions: new ByTenant(),
    idleSessions: new Recent(),
    tenants: new Map(),
    rateBuckets: new Recent(),
    classes: new Map(),
    deadlines: new Deadlines<Live>((live) => live.place?.kind === "waiting"),
    timers: new Map(),
    sessionSweep: false,
    storageFull: false,
    stopping: false,
  };
}

/** A task from its acceptance to its outcome. */
export interface Live extends FairItem, ModelNeeds {
  readonly jobId: string;
  readonly task: Task;
  readonly known: Known;
  readonly submittedAtMs: number;
  readonly bodyBytes: number;
  readonly memoryBytes: number;
  /** Of its inputs, each of which has a context to itself; `promptTokens` are those of them all. */
  readonly longestTokens: number;
  readonly reserved: Reservation;
  readonly tenant: Tenant;
  /** That it is a turn of; undefined where that was deleted before a restart. */
  readonly session: Session | undefined;
  /** Its outcome is out; it only holds its slot until its attempt has ended. */
  over: boolean;
  /** Where its work may run; a strict one that was delivered in part may run nowhere else. */
  digest: string | null;
  determinism: Determinism;
  setId: string;
  /** The pool in whose queue it counts while it waits. */
  poolId: string;
  place: Waiting | Running | undefined;
  watched: boolean;
  attempts: number;
  /** Where it was sent last; null while it never was. */
  replicaId: string | null;
  /** Attempts that ended in a fault, in all and by replica. */
  faults: number;
  /** Absent while nothing went wrong, as it does for nearly all. */
  faultsByReplica: Map<string, number> | undefined;
  resume: Resume | undefined;
  frames: number;
  readers: number;
  /** Its last reader has left and the time to come back is running. */
  grace: boolean;
  firstPlacedAtMs: number | undefined;
  /** Engine time and tokens of earlier attempts that were delivered. */
  tokensOut: number;
  decodeMs: number;
}

export interface Resume {
  readonly kind: "replayed" | "continued" | null;
  readonly preempted: boolean;
}

/** It is a link of the list of its pool, unless the task was returned. */
export interface Waiting extends Link<Live> {
  readonly kind: "waiting";
  /** Back from a lost attempt: ahead of the queue, outside its bounds, never evicted. */
  readonly returned: boolean;
  /** In the queue of its set. */
  handle: QueueHandle<Live>;
}

export interface Running {
  readonly kind: "running";
  readonly attempt: number;
  readonly replica: Replica;
  readonly dispatchedAtMs: number;
  expectedEndAtMs: number;
  firstTokenAtMs: number | undefined;
  tokens: number;
  /** Set once the core has asked for the end; the slot is held until the end is reported. */
  ending: "canceled" | "watchdog" | LostReason | undefined;
}

export interface Reservation {
  readonly tokens: number;
  readonly timeMs: number;
  readonly cost: number;
}

/** What a repeat of a task is answered by. */
export interface Known {
  readonly tenantId: string;
  readonly taskId: string;
  readonly fingerprint: string;
  readonly answer: Answer;
  live: Live | undefined;
  endedAtMs: number | undefined;
}

export interface Pool {
  readonly id: string;
  settings: PoolSettings;
  modelRef: string;
  draining: Draining | undefined;
  reload: Reload | undefined;
  readonly replicas: Map<string, Replica>;
  /** Replicas whose process is gone while ends of their attempts are still to be reported. */
  readonly departed: Set<Replica>;
  /** Waiting tasks that count here, in arrival order. */
  readonly waiting: Record<Priority, Fifo<Live>>;
  waitingTokens: number;
  waitingBodyBytes: number;
  readonly drain: Drain;
  readonly breaker: Breaker;
  /** Times of hard preemptions and of restarts within their windows. */
  readonly preemptions: number[];
  readonly restarts: number[];
  /** No longer configured; kept until its last attempt has ended. */
  retired: boolean;
}

export interface Draining {
  readonly sinceMs: number;
  readonly deadlineAtMs: number;
  ended: boolean;
  forced: boolean;
}

export interface Reload {
  readonly modelRef: string;
  readonly sinceMs: number;
  /** The pool was being drained anyway and stays so if the reload fails. */
  readonly wasDraining: boolean;
  /** An operator drained the pool meanwhile: it stays drained however the reload ends. */
  drainAsked: boolean;
  swapping: boolean;
}

export interface Breaker {
  faults: number;
  openUntilMs: number | undefined;
  /** Job id of the one task that may try a pool whose breaker is half open. */
  trial: string | undefined;
}

export interface Replica {
  readonly poolId: string;
  readonly replicaId: string;
  readonly epoch: number;
  readonly key: string;
  status: ReplicaStatus;
  facts: ReplicaFacts;
  setId: string;
  readyAtMs: number | undefined;
  reportedAtMs: number;
  /** Until then nothing is sent to it, unless it is heard of again. */
  doubtedUntilMs: number | undefined;
  lastError: string | undefined;
  rates: Rates;
  readonly running: Few<Live>;
}

export interface ReplicaSet {
  readonly id: string;
  key: SetKey;
  /** Known by its name alone, from before a restart: tasks wait in it for somebody to report a member. */
  unseen: boolean;
  /** Of the pool that speaks for the set in what rules its queue. */
  settings: PoolSettings;
  readonly replicas: Replica[];
  queue: FairQueue<Live>;
  readonly returns: Fifo<Live>;
  /** Work that was placed, by class: how much of the slots' time newcomers of that class take. */
  readonly arrivals: Record<Priority, ArrivalRate>;
}

export interface ArrivalRate {
  perMs: number;
  atMs: number;
  /** When the first one came; a short memory must not pass for a low rate. */
  sinceMs: number | null;
}

/** What must be equal for two replicas to stand in for one another. */
export interface SetKey {
  readonly engine: EngineKind;
  /** The model's reference where no digest is known: unknown models are not equal. */
  readonly modelDigest: string;
  readonly quant: string | null;
  readonly ctx: number;
  readonly engineVersion: string | null;
  readonly samplerProfile: string;
  readonly determinism: Determinism;
  readonly computeFingerprint: string | null;
}

export interface Model {
  readonly digest: string | null;
  readonly state: ModelState;
  readonly untrusted: string | undefined;
  /** What its tasks were held to when it was deprecated; nothing tighter holds for it afterwards. */
  readonly frozen: ClassObjectives | undefined;
}

export interface Node {
  readonly id: string;
  readonly address: string;
  readonly zone: string | undefined;
  online: boolean;
  lastHeardMs: number;
}

export interface Spent {
  tokens: number;
  timeMs: number;
  cost: number;
}

export interface Session {
  readonly tenantId: string;
  readonly sessionId: string;
  readonly key: string;
  /** Tells a session from a later one of the same name. */
  readonly serial: number;
  /** Its tasks go on without it. */
  deleted: boolean;
  expiresAtMs: number;
  turns: number;
  live: number;
  kvWarm: boolean;
  /** Where it ran last, for affinity. */
  lastReplica: string | undefined;
  readonly spent: Spent;
  readonly reserved: Spent;
}

export interface Tenant {
  readonly id: string;
  live: number;
  memoryBytes: number;
  readonly spent: Spent;
  readonly reserved: Spent;
}

export interface Bucket {
  tokens: number;
  atMs: number;
}

/** Objectives of a class over the last windows. */
export interface ClassHealth {
  windowEndsAtMs: number;
  firstTokens: number;
  lateFirstTokens: number;
  ended: number;
  failed: number;
  /** Of those that ended, as many may have failed. */
  failuresAllowed: number;
  missedWindows: number;
  openUntilMs: number | undefined;
  trial: string | undefined;
}
