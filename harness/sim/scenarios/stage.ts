// A world with nothing in it that the scenario does not put there: no chance faults, no clients of its own.
// The scenario says what happens; at its end everything is healed and everything is demanded, as of every
// world.

import type { Task } from "@llama-orch/contract";
import type {
  DispatchAttempt,
  Effect,
  EffectType,
  EndTask,
  LostReason,
  PoolSettings,
  Settings,
  TaskSubmitted,
} from "@llama-orch/core";
import type { Client } from "../clients.ts";
import type { Body } from "../daemon.ts";
import { demandAll } from "../demands.ts";
import type { Manager, Post } from "../manager.ts";
import { baseLoad, baseMix, basePool, baseReplica, type Mix, type ReplicaPlan } from "../mix.ts";
import { strictFrames } from "../text.ts";
import { World } from "../world.ts";

export interface StageOptions {
  readonly pools?: readonly Partial<PoolSettings>[];
  readonly replicas?: readonly Partial<ReplicaPlan>[];
  readonly settings?: Partial<Settings>;
  readonly mix?: Partial<Mix>;
}

type EffectOf<T extends EffectType> = Extract<Effect, { readonly type: T }>;

export class Stage {
  readonly world: World;
  readonly #clients = new Map<string, Client>();

  constructor({ pools = [{}], replicas = [{}], settings = {}, mix = {} }: StageOptions = {}) {
    const base = baseMix(1);
    this.world = new World({
      ...base,
      nodes: [],
      replicas: replicas.map(baseReplica),
      settings: { ...base.settings, pools: pools.map(basePool), ...settings },
      load: { ...baseLoad, tasks: 0 },
      spread: 0,
      calm: false,
      ...mix,
    });
    this.world.begin();
    this.pass(100);
  }

  pass(ms: number): this {
    this.world.clock.runUntil(this.world.clock.nowMs + ms);
    return this;
  }

  submit(taskId: string, fields: Partial<Task> = {}, event: Partial<Body<TaskSubmitted>> = {}): Effect[] {
    const { clients, random } = this.world;
    const task: Task = {
      taskId,
      sessionId: `s-${taskId}`,
      tenantId: "default",
      workload: "completion",
      modelRef: "m",
      engine: "llamacpp",
      ctx: 0,
      priority: "interactive",
      maxTokens: 40,
      deadlineMs: 600_000,
      seed: 1001,
      kvHint: "reuse",
      override: false,
      sampling: {},
      placement: { mode: "auto", preferPools: [], avoidPools: [], allowFallback: true },
      ...fields,
    };
    const client = clients.clientOf(task, random, { reads: true, huge: false, memory: false });
    const sent = { ...client, event: { ...client.event, promptTokens: 20, promptBytes: 22, ...event } };
    this.#clients.set(taskId, sent);
    return [...clients.send(sent)];
  }

  cancel(taskId: string): readonly Effect[] {
    return this.world.clients.cancel(this.#clients.get(taskId) as Client);
  }

  /** The reader goes away, or comes back. */
  reads(taskId: string, readers: 0 | 1): void {
    const { jobId } = this.#clients.get(taskId) as Client;
    this.world.daemon.say({ type: "ReadersChanged", jobId, readers });
  }

  #at(key: string): { manager: Manager; post: Post } {
    for (const manager of this.world.managers) {
      const post = manager.find(key);
      if (post !== undefined) return { manager, post };
    }
    throw new Error(`There is no replica ${key} on this stage.`);
  }

  post(key: string): Post {
    return this.#at(key).post;
  }

  fail(key: string, reason: LostReason = "crash"): void {
    const { manager, post } = this.#at(key);
    manager.fail(post, reason, "first");
  }

  hang(key: string, noticedMs: number): void {
    const { manager, post } = this.#at(key);
    manager.hang(post, noticedMs);
  }

  node(nodeId: string): Manager {
    return this.world.managers.find((manager) => manager.nodeId === nodeId) as Manager;
  }

  #jobIdOf(taskId: string): string {
    return this.#clients.get(taskId)?.jobId ?? taskId;
  }

  ended(taskId: string): EndTask | undefined {
    return this.world.judge.cases.get(this.#jobIdOf(taskId))?.outcome;
  }

  /** In one word: `done`, `canceled`, the code of a failure, or `open`. */
  outcome(taskId: string): string {
    const ended = this.ended(taskId)?.outcome;
    if (ended === undefined) return "open";
    return ended.kind === "failed" ? ended.code : ended.kind;
  }

  attempts(taskId: string): number {
    return this.world.judge.cases.get(this.#jobIdOf(taskId))?.attempts ?? 0;
  }

  /** Where its attempt runs now. */
  running(taskId: string): DispatchAttempt | undefined {
    return this.world.judge.cases.get(this.#jobIdOf(taskId))?.attempt;
  }

  /** What the reader of a task saw. */
  seen(taskId: string): readonly string[] {
    return this.world.clients.byJobId.get(this.#jobIdOf(taskId))?.seen ?? [];
  }

  /** What the reader of a strict task sees when nothing goes wrong. */
  undisturbed(taskId: string): string[] {
    const stream = this.world.relay.streams.get(this.#jobIdOf(taskId));
    const [compute] = stream?.computes ?? [];
    return stream === undefined || compute === undefined ? [] : strictFrames(compute, stream.prompt, 0);
  }

  notes(about: string): number {
    return this.world.judge.notes[about] ?? 0;
  }

  end(): void {
    this.world.heal();
    this.world.settle();
    demandAll(this.world);
  }
}

export function only<T extends EffectType>(effects: readonly Effect[], type: T): EffectOf<T>[] {
  return effects.filter((effect): effect is EffectOf<T> => effect.type === type);
}
