// The one that decides. Events go in, effects come out, and nothing else ever changes the state. It is pure:
// equal events from equal states give equal effects, on any machine, at any time.

import type { SessionInfo } from "@llama-orch/contract";
import { budgetView } from "./admission/budget.ts";
import { submit } from "./admission/submit.ts";
import { cancel } from "./attempts/cancel.ts";
import { attemptEnded, firstToken, progressed, runningOf, stalled } from "./attempts/end.ts";
import { deadlineOver, expireDue } from "./attempts/expire.ts";
import { preemptFor } from "./attempts/preempt.ts";
import { graceOver, readersChanged, restarted, unseenTimer } from "./attempts/readers.ts";
import { configure } from "./configure.ts";
import type { BudgetView, Effect } from "./effects.ts";
import { onTime, predictWaiting } from "./estimate/outlook.ts";
import type { Event, EventType, TimerFired } from "./events.ts";
import type { SentTo, SessionFacts, Survived, SurvivingReplica, TaskFacts } from "./facts.ts";
import { assertInvariants } from "./invariants.ts";
import { nodeDeregistered, nodeHeard, nodeRegistered, nodeSilent } from "./nodes.ts";
import { rehomeUnseen } from "./placement/home.ts";
import { placeAll } from "./placement/place.ts";
import { drainDeadline, drainProgress, drainRequested } from "./pools/drain.ts";
import { giveUpUnseen, reloadEnded, reloadRequested } from "./pools/reload.ts";
import { replicaRemoved, replicaReported } from "./pools/replicas.ts";
import { frozenBy } from "./pools/slo.ts";
import { deadlineTimer, waitingIn } from "./queue/waiting.ts";
import { recoverState, sentToOf, sessionFactsOf, taskFactsOf } from "./recovery.ts";
import {
  deleteSession,
  heldSession,
  sessionInfo,
  sessionTimer,
  tickSessions,
  withdrawTurn,
} from "./sessions.ts";
import { restoreState, type Snapshot, snapshotOf, snapshotTextOf } from "./snapshot.ts";
import { type Core, emptyState, type Live, type Pool, type ReplicaSet, type State } from "./state.ts";

/** What the metrics frames of a task show. */
export interface ProgressView {
  readonly queueDepth: number;
  readonly onTimeProbability: number;
  readonly kvWarm: boolean;
  readonly budget: BudgetView;
}

export interface WaitingView {
  readonly jobId: string;
  readonly position: number;
  readonly predictedStartMs: number;
}

export class Orchestrator {
  readonly #state: State;

  /** @param seed of every choice by chance, such as the placement strategy `random` */
  constructor(seed: number) {
    this.#state = emptyState(seed);
  }

  handle(event: Event): Effect[] {
    const core = new Turn(this.#state, Math.max(this.#state.nowMs, event.nowMs));
    this.#state.nowMs = core.nowMs;
    const handler = handlers[event.type] as (core: Core, event: Event) => void;
    handler(core, event);
    return core.effects;
  }

  /** Where each waiting task of a set stands and when it is expected to start. Reads only. */
  *waiting(setId: string): Iterable<WaitingView> {
    const set = this.#state.sets.get(setId);
    if (set === undefined) return;
    for (const { live, position, startMs } of predictWaiting(this.#state, this.#state.nowMs, set)) {
      yield { jobId: live.jobId, position, predictedStartMs: startMs };
    }
  }

  progress(jobId: string): ProgressView | undefined {
    const live = this.#state.jobs.get(jobId);
    return live === undefined ? undefined : progressOf(this.#state, live);
  }

  /** What is left for a live task, at the cost of one look. */
  budget(jobId: string): BudgetView | undefined {
    const live = this.#state.jobs.get(jobId);
    return live === undefined
      ? undefined
      : budgetView(this.#state, this.#state.nowMs, sessionOf(this.#state, live));
  }

  /** Time also passes between events: whoever asks says when. */
  session(tenantId: string, sessionId: string, nowMs = this.#state.nowMs): SessionInfo {
    return sessionInfo(this.#state, nowMs, tenantId, sessionId);
  }

  /** For reading alone: views, metrics and tests. */
  get state(): Readonly<State> {
    return this.#state;
  }

  snapshot(): Snapshot {
    return snapshotOf(this.#state);
  }

  /** The same as JSON, at less than half the cost. */
  snapshotText(): string {
    return snapshotTextOf(this.#state);
  }

  /** Takes a snapshot over as it is: nothing is decided again, nothing that was accepted is refused. */
  static restore(snapshot: Snapshot): Orchestrator {
    const orchestrator = new Orchestrator(0);
    restoreState(orchestrator.#state, snapshot);
    return orchestrator;
  }

  /**
   * Takes over what survived another process: every task stands again as it did, nothing is decided. The
   * timers that are to be set are in its state.
   */
  static recover(survived: Survived, seed: number): Orchestrator {
    const orchestrator = new Orchestrator(seed);
    const state = orchestrator.#state;
    state.nowMs = survived.nowMs;
    recoverState(new Turn(state, survived.nowMs), survived);
    return orchestrator;
  }

  /** What has to be written down of a live task so that another process could go on with it. */
  taskFacts(jobId: string): TaskFacts | undefined {
    const live = this.#state.jobs.get(jobId);
    return live === undefined ? undefined : taskFactsOf(live);
  }

  /** Where the last attempt of a live task went; undefined while it was never placed. */
  sentTo(jobId: string): SentTo | undefined {
    const live = this.#state.jobs.get(jobId);
    return live === undefined ? undefined : sentToOf(live);
  }

  sessionFacts(tenantId: string, sessionId: string): SessionFacts | undefined {
    return sessionFactsOf(this.#state, tenantId, sessionId);
  }

  /** What a replica is taken to be, which is more than its last report while it only starts. */
  replicaFacts(poolId: string, replicaId: string): SurvivingReplica | undefined {
    const replica = this.#state.pools.get(poolId)?.replicas.get(replicaId);
    return replica === undefined ? undefined : { poolId, replicaId, facts: { ...replica.facts } };
  }

  assertInvariants(): void {
    assertInvariants(this.#state);
  }
}

const sessionOf = (state: State, live: Live) => state.sessions.get(live.tenantId, live.task.sessionId);

function progressOf(state: State, live: Live): ProgressView {
  const { nowMs } = state;
  const session = sessionOf(state, live);
  const pool = state.pools.get(live.poolId);
  return {
    queueDepth: pool === undefined ? 0 : waitingIn(pool),
    onTimeProbability: onTime(state, live),
    kvWarm: session?.kvWarm ?? false,
    budget: budgetView(state, nowMs, session),
  };
}

/** One event being handled. Timers are also kept in the state, so that a restart can set them again. */
class Turn implements Core {
  readonly state: State;
  readonly nowMs: number;
  readonly effects: Effect[] = [];

  constructor(state: State, nowMs: number) {
    this.state = state;
    this.nowMs = nowMs;
  }

  emit(effect: Effect): void {
    this.effects.push(effect);
    if (effect.type === "SetTimer") this.state.timers.set(effect.timer, effect.atMs);
    else if (effect.type === "ClearTimer") this.state.timers.delete(effect.timer);
  }
}

type Handlers = {
  readonly [T in EventType]: (core: Core, event: Extract<Event, { readonly type: T }>) => void;
};

const handlers: Handlers = {
  TaskSubmitted: (core, event) => {
    for (const set of submit(core, event)) placeIn(core, set);
  },
  TaskCanceled: (core, { tenantId, taskId, withdrawn }) => {
    const live = core.state.tasks.get(tenantId, taskId)?.live;
    if (live !== undefined) cancel(core, live, "client");
    if (withdrawn) withdraw(core.state, tenantId, taskId, live);
    if (live === undefined) return;
    // What it held up while it waited for memory may run now.
    placeIn(core, core.state.sets.get(live.setId));
  },
  ReadersChanged: (core, { jobId, readers }) => {
    const live = core.state.jobs.get(jobId);
    if (live === undefined || live.over) return;
    readersChanged(core, live, readers);
    if (live.over) placeIn(core, core.state.sets.get(live.setId));
  },
  SessionDeleted: ({ state }, { tenantId, sessionId }) => {
    const session = state.sessions.get(tenantId, sessionId);
    if (session !== undefined) deleteSession(state, session);
  },
  AttemptStarted: () => {},
  FirstToken: firstToken,
  AttemptProgressed: progressed,
  AttemptStalled: stalled,
  AttemptEnded: (core, event) => {
    const { pools, sets, settings } = core.state;
    const found = runningOf(core.state, event);
    if (found === undefined) return;
    const { live, running } = found;
    const { replica } = running;
    const pool = pools.get(replica.poolId) as Pool;
    const resting = pool.breaker.openUntilMs !== undefined;
    attemptEnded(core, live, running, pool, event);
    drainProgress(core, pool);
    placeIn(core, sets.get(replica.setId));
    // A trial that has ended lets others in, and a pool may have replicas in several sets.
    if (resting) placeEverywhere(core);
    if (live.place?.kind === "waiting" && live.setId !== replica.setId) placeIn(core, sets.get(live.setId));
    // Others may have been kept apart from what ran here.
    if (settings.pools.some(({ antiAffinity }) => antiAffinity !== undefined)) placeEverywhere(core);
  },
  TimerFired: timerFired,
  Configured: (core, { settings }) => {
    configure(core, settings);
    rehomeUnseen(core);
    placeEverywhere(core);
  },
  ReplicaReported: (core, event) => {
    replicaReported(core, event);
    rehomeUnseen(core);
    placeEverywhere(core);
  },
  ReplicaRemoved: (core, event) => {
    replicaRemoved(core, event);
    placeEverywhere(core);
  },
  DrainRequested: (core, { poolId, deadlineMs }) => {
    const pool = core.state.pools.get(poolId);
    if (pool !== undefined) drainRequested(core, pool, deadlineMs);
  },
  ReloadRequested: reloadRequested,
  ReloadEnded: (core, event) => {
    const pool = core.state.pools.get(event.poolId);
    if (pool !== undefined) reloadEnded(core, pool, event);
    placeEverywhere(core);
  },
  ModelChanged: ({ state }, { modelRef, digest, state: life, untrusted }) => {
    state.models.set(modelRef, { digest, state: life, untrusted, frozen: frozenBy(state, modelRef, life) });
  },
  NodeRegistered: (core, { nodeId, address, zone }) => {
    nodeRegistered(core, nodeId, address, zone);
    placeEverywhere(core);
  },
  NodeHeard: (core, { nodeId }) => {
    nodeHeard(core, nodeId);
    placeEverywhere(core);
  },
  NodeDeregistered: (core, { nodeId }) => nodeDeregistered(core, nodeId),
  StorageChanged: ({ state }, { full }) => {
    state.storageFull = full;
  },
  ShutdownBegan: ({ state }) => {
    state.stopping = true;
  },
  Restarted: restarted,
};

/** As if it had never been handed in. */
function withdraw(state: State, tenantId: string, taskId: string, live: Live | undefined): void {
  state.tasks.delete(tenantId, taskId);
  const session = live === undefined ? undefined : heldSession(live);
  if (session !== undefined) withdrawTurn(state, session);
}

function placeEverywhere(core: Core): void {
  for (const set of [...core.state.sets.values()]) placeIn(core, set);
}

function placeIn(core: Core, set: ReplicaSet | undefined): void {
  if (set === undefined) return;
  expireDue(core);
  // What runs may finish; what waits goes on at the next start.
  if (core.state.stopping) return;
  placeAll(core, set);
  preemptFor(core, set);
}

/** Timers are named after what they wait for; one that comes too late finds nothing to do. */
function timerFired(core: Core, { timer }: TimerFired): void {
  const { state } = core;
  state.timers.delete(timer);
  const [kind, name] = split(timer);
  switch (kind) {
    case deadlineTimer:
      deadlineOver(core);
      return placeEverywhere(core);
    case sessionTimer:
      return tickSessions(core);
    case "grace": {
      const live = state.jobs.get(name);
      if (live === undefined) return;
      graceOver(core, live);
      return placeIn(core, state.sets.get(live.setId));
    }
    case "drain": {
      const pool = state.pools.get(name);
      return pool === undefined ? undefined : drainDeadline(core, pool);
    }
    case "node":
      return nodeSilent(core, name);
    case unseenTimer:
      giveUpUnseen(core);
      return placeEverywhere(core);
    case "breaker":
    case "doubt":
      return placeEverywhere(core);
    default:
      return;
  }
}

function split(timer: string): [string, string] {
  const space = timer.indexOf(" ");
  return space < 0 ? [timer, ""] : [timer.slice(0, space), timer.slice(space + 1)];
}
