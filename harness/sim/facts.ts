// The facts a daemon would write down, taken from every event and what it caused, and given back after a
// crash as a store gives them: what nobody wrote is forgotten, what is out of date comes back.

import {
  type Effect,
  type EndTask,
  type Event,
  type Orchestrator,
  type Remembered,
  type SentTo,
  type SessionFacts,
  type Settings,
  type Spent,
  type Survived,
  type SurvivingReplica,
  type SurvivingTask,
  spentBy,
  type TaskFacts,
} from "@llama-orch/core";

/** How far the stream of a task has come. */
export interface Delivered {
  readonly frames: readonly string[];
  readonly tokensOut: number;
}

interface Kept {
  readonly facts: TaskFacts;
  sentTo: SentTo | undefined;
  /** Of a strict stream, as of its last report. */
  frames: number;
  tokensOut: number;
  wasRead: boolean;
  end: EndTask | undefined;
  endedAtMs: number | undefined;
  booked: Spent;
}

type Drain = Survived["drains"][number];

const nothing: Spent = { tokens: 0, timeMs: 0, cost: 0 };

export class Facts {
  readonly #streamOf: (jobId: string) => Delivered | undefined;
  readonly #tasks = new Map<string, Kept>();
  /** By tenant and task, who had the name last. */
  readonly #names = new Map<string, Kept>();
  readonly #sessions = new Map<string, SessionFacts>();
  readonly #tenants = new Map<string, Spent>();
  readonly #drains = new Map<string, Drain>();
  readonly #replicas = new Map<string, SurvivingReplica>();
  /** What is no fact of the core and told to it anew. */
  readonly #told = new Map<string, Extract<Event, { type: "ModelChanged" | "StorageChanged" }>>();
  #settings: Settings | null = null;
  #nowMs = 0;

  constructor(streamOf: (jobId: string) => Delivered | undefined) {
    this.#streamOf = streamOf;
  }

  keep(event: Event, effects: readonly Effect[], core: Orchestrator): void {
    this.#nowMs = event.nowMs;
    this.#hear(event, core);
    for (const effect of effects) this.#see(effect, core);
  }

  #hear(event: Event, core: Orchestrator): void {
    switch (event.type) {
      case "Configured":
        return this.#configured(event.settings);
      case "ModelChanged":
        this.#told.set(event.modelRef, event);
        return;
      case "StorageChanged":
        this.#told.set(event.type, event);
        return;
      case "ReplicaReported": {
        const { poolId, replicaId } = event;
        const known = core.replicaFacts(poolId, replicaId);
        if (known !== undefined) this.#replicas.set(`${poolId}/${replicaId}`, known);
        return;
      }
      case "SessionDeleted":
        this.#sessions.delete(`${event.tenantId}/${event.sessionId}`);
        return;
      case "ReadersChanged": {
        const kept = this.#tasks.get(event.jobId);
        if (kept !== undefined && event.readers > 0) kept.wasRead = true;
        return;
      }
      case "AttemptProgressed":
        return this.#progressed(event.jobId);
      case "AttemptEnded": {
        // A cancelled task is charged what its engine has delivered until it stopped.
        const kept = this.#tasks.get(event.jobId);
        if (kept?.end !== undefined) this.#book(kept, event.tokensOut, event.decodeMs);
        return;
      }
      default:
        return;
    }
  }

  #see(effect: Effect, core: Orchestrator): void {
    switch (effect.type) {
      case "AcceptTask":
        return this.#admitted(core.taskFacts(effect.jobId) as TaskFacts, core);
      case "DispatchAttempt":
        (this.#tasks.get(effect.jobId) as Kept).sentTo = core.sentTo(effect.jobId);
        return;
      case "EndTask":
        return this.#ended(this.#tasks.get(effect.jobId) as Kept, effect);
      case "DrainPool": {
        const { poolId, deadlineAtMs } = effect;
        const sinceMs = core.state.pools.get(poolId)?.draining?.sinceMs ?? this.#nowMs;
        this.#drains.set(poolId, { poolId, sinceMs, deadlineAtMs });
        return;
      }
      case "AnswerReload":
        if (core.state.pools.get(effect.poolId)?.draining === undefined) this.#drains.delete(effect.poolId);
        return;
      default:
        return;
    }
  }

  #configured(settings: Settings): void {
    this.#settings = settings;
    const ids = new Set(settings.pools.map(({ id }) => id));
    for (const kept of [this.#drains, this.#replicas]) {
      for (const [key, { poolId }] of kept) if (!ids.has(poolId)) kept.delete(key);
    }
  }

  #admitted(facts: TaskFacts, core: Orchestrator): void {
    const { tenantId, taskId, sessionId } = facts.task;
    const fresh = { sentTo: undefined, frames: 0, tokensOut: 0, wasRead: false };
    const kept: Kept = { facts, ...fresh, end: undefined, endedAtMs: undefined, booked: nothing };
    this.#tasks.set(facts.jobId, kept);
    this.#names.set(`${tenantId}/${taskId}`, kept);
    const session = core.sessionFacts(tenantId, sessionId);
    if (session === undefined) return;
    const key = `${tenantId}/${sessionId}`;
    const before = this.#sessions.get(key);
    const spent = before?.serial === session.serial ? before.spent : nothing;
    this.#sessions.set(key, { ...session, spent });
  }

  #progressed(jobId: string): void {
    const kept = this.#tasks.get(jobId);
    const stream = this.#streamOf(jobId);
    if (kept === undefined || stream === undefined) return;
    kept.frames = Math.max(kept.frames, stream.frames.length);
    kept.tokensOut = Math.max(kept.tokensOut, stream.tokensOut);
  }

  #ended(kept: Kept, end: EndTask): void {
    kept.end = end;
    kept.endedAtMs = this.#nowMs;
    const { tokensOut, decodeMs } = end.outcome;
    this.#book(kept, Math.max(tokensOut, this.#streamOf(kept.facts.jobId)?.tokensOut ?? 0), decodeMs);
  }

  /** What is more than was booked before goes to the accounts. */
  #book(kept: Kept, tokensOut: number, decodeMs: number): void {
    const { reserved, task, sessionSerial } = kept.facts;
    const delivered = {
      reserved,
      tokensOut: Math.max(kept.booked.tokens, tokensOut),
      decodeMs: Math.max(kept.booked.timeMs, decodeMs),
    };
    const spent = spentBy(delivered, this.#settings?.session.costPerToken ?? 0);
    const { tenantId, sessionId } = task;
    this.#tenants.set(tenantId, plus(this.#tenants.get(tenantId) ?? nothing, spent, kept.booked));
    const key = `${tenantId}/${sessionId}`;
    const session = this.#sessions.get(key);
    if (session !== undefined && session.serial === sessionSerial) {
      this.#sessions.set(key, { ...session, spent: plus(session.spent, spent, kept.booked) });
    }
    kept.booked = spent;
  }

  /** What the store still answers for a name. */
  remembered(tenantId: string, taskId: string, nowMs: number): Remembered | undefined {
    const kept = this.#names.get(`${tenantId}/${taskId}`);
    const endedAtMs = kept?.endedAtMs;
    if (kept === undefined || nowMs - (endedAtMs ?? nowMs) > (this.#settings?.rememberMs ?? 0)) {
      return undefined;
    }
    return { fingerprint: kept.facts.fingerprint, answer: kept.facts.answer };
  }

  /** Of a best-effort stream every frame was logged before it left. */
  survived(): Survived {
    const live = [...this.#tasks.values()].filter(({ end }) => end === undefined);
    return {
      nowMs: this.#nowMs,
      settings: this.#settings,
      replicas: [...this.#replicas.values()],
      drains: [...this.#drains.values()],
      tasks: live.map((kept) => this.#surviving(kept)),
      sessions: [...this.#sessions.values()],
      tenants: [...this.#tenants].map(([tenantId, spent]) => ({ tenantId, spent })),
    };
  }

  #surviving({ facts, sentTo, frames, tokensOut, wasRead }: Kept): SurvivingTask {
    if (sentTo === undefined) return { ...facts, frames: 0, tokensOut: 0, wasRead };
    if (sentTo.determinism === "strict") return { ...facts, sentTo, frames, tokensOut, wasRead };
    const stream = this.#streamOf(facts.jobId);
    const logged = { frames: stream?.frames.length ?? 0, tokensOut: stream?.tokensOut ?? 0 };
    return { ...facts, sentTo, ...logged, wasRead };
  }

  /** Events that tell another process what the first one was told. */
  retold(): readonly Extract<Event, { type: "ModelChanged" | "StorageChanged" }>[] {
    return [...this.#told.values()];
  }
}

function plus(account: Spent, spent: Spent, before: Spent): Spent {
  return {
    tokens: account.tokens + spent.tokens - before.tokens,
    timeMs: account.timeMs + spent.timeMs - before.timeMs,
    cost: account.cost + spent.cost - before.cost,
  };
}
