// A fake pool manager: the processes of one node, how they start, fail and come back, and what it reports.
// Reports carry a running number, so that the edge can drop one that was overtaken.

import type { LostReason, ReplicaFacts, ReplicaStatus } from "@llama-orch/core";
import type { Clock, Planned } from "./clock.ts";
import { type Ailments, Engine } from "./engine.ts";
import type { Link } from "./link.ts";
import type { ReplicaPlan } from "./mix.ts";
import type { Random } from "./random.ts";
import { computeOf } from "./text.ts";

export interface Report {
  readonly poolId: string;
  readonly replicaId: string;
  readonly status: ReplicaStatus;
  readonly epoch: number;
  readonly facts: ReplicaFacts;
  readonly readyInMs?: number;
  readonly lastError?: string;
  readonly reason?: LostReason;
}

export interface Edge {
  heard(nodeId: string): void;
  registered(nodeId: string): void;
  reported(report: Report, number: number): void;
  removed(poolId: string, replicaId: string): void;
}

export interface ManagerOptions {
  readonly nodeId: string | null;
  readonly heartbeatMs: number;
  readonly link: Link;
  readonly clock: Clock;
  readonly random: Random;
  readonly edge: Edge;
  readonly ailments: () => Ailments;
  readonly onFault: (what: string) => void;
  readonly spread: number;
}

/** One replica over all its processes. */
export interface Post {
  readonly plan: ReplicaPlan;
  readonly key: string;
  engine: Engine | undefined;
  epoch: number;
  status: ReplicaStatus;
  modelDigest: string;
  engineVersion: string;
  fingerprint: string;
  reason: LostReason | undefined;
  restarts: number;
  readyAtMs: number;
  coming: Planned | undefined;
  /** While the operator changes its model, or it has no pool, it stays down. */
  held: boolean;
  number: number;
}

export class Manager {
  readonly #options: ManagerOptions;
  readonly posts: Post[] = [];
  #up = true;

  constructor(options: ManagerOptions) {
    this.#options = options;
  }

  get nodeId(): string | null {
    return this.#options.nodeId;
  }

  get link(): Link {
    return this.#options.link;
  }

  add(plan: ReplicaPlan): void {
    this.posts.push({
      plan,
      key: `${plan.poolId}/${plan.replicaId}`,
      engine: undefined,
      epoch: 0,
      status: "stopped",
      modelDigest: plan.modelDigest,
      engineVersion: plan.engineVersion,
      fingerprint: plan.fingerprint,
      reason: undefined,
      restarts: 0,
      readyAtMs: 0,
      coming: undefined,
      held: false,
      number: 0,
    });
  }

  begin(): void {
    this.#register();
    for (const post of this.posts) this.start(post, 0);
    this.#beat();
  }

  find(key: string): Post | undefined {
    return this.posts.find((post) => post.key === key);
  }

  /** A new process that is ready after a while. */
  start(post: Post, loadMs = post.plan.loadMs): void {
    const { clock } = this.#options;
    if (!this.#up || post.held) return;
    clock.cancel(post.coming);
    post.engine?.die();
    post.engine = undefined;
    post.epoch++;
    post.status = "loading";
    post.readyAtMs = clock.nowMs + loadMs;
    this.report(post);
    post.coming = clock.after(loadMs, () => this.#ready(post));
  }

  #ready(post: Post): void {
    const { link, clock, random, ailments, onFault, spread } = this.#options;
    const { plan } = post;
    post.engine = new Engine({
      key: post.key,
      epoch: post.epoch,
      slots: plan.slots - plan.slotsElsewhere,
      strict: plan.strict,
      compute: computeOf(post.modelDigest, post.engineVersion, post.fingerprint),
      speed: plan.speed,
      spread,
      link,
      clock,
      random,
      ailments,
      onAilment: onFault,
    });
    post.status = "ready";
    post.reason = undefined;
    this.report(post);
  }

  /**
   * The process dies, and after a growing pause another one follows. Its connections break before or after
   * the manager has told of it.
   */
  fail(post: Post, reason: LostReason, told: "first" | "later" = "later"): void {
    const { clock, random } = this.#options;
    const { engine } = post;
    if (!this.#up || engine === undefined) return;
    if (told === "later") engine.die();
    else clock.after(5, () => engine.die());
    post.engine = undefined;
    post.status = "backing_off";
    post.reason = reason;
    const pauseMs = Math.min(8000, 200 * 2 ** Math.min(6, post.restarts++));
    post.readyAtMs = clock.nowMs + pauseMs + post.plan.loadMs;
    clock.after(told === "first" ? 0 : random.between(5, 300), () => {
      if (post.status === "backing_off") this.report(post);
    });
    post.coming = clock.after(pauseMs + 300, () => this.start(post));
  }

  /** A hung process is noticed by its health check, killed, and started again. */
  hang(post: Post, noticedMs: number): void {
    const { engine } = post;
    if (engine === undefined) return;
    engine.hang();
    this.#options.clock.after(noticedMs, () => {
      if (post.engine === engine) this.fail(post, "hung");
    });
  }

  /** Stops the process for good, until it is let go. */
  hold(post: Post): void {
    this.#options.clock.cancel(post.coming);
    post.held = true;
    post.engine?.die();
    post.engine = undefined;
    post.status = "stopped";
    this.report(post);
  }

  /** The replica is taken away, and comes back later as a new process. */
  remove(post: Post, awayMs: number): void {
    const { link, edge, clock } = this.#options;
    const { poolId, replicaId } = post.plan;
    if (!this.#up || post.held) return;
    this.hold(post);
    link.send("back", () => edge.removed(poolId, replicaId));
    clock.after(awayMs, () => this.release(post));
  }

  release(post: Post, loadMs = post.plan.loadMs): void {
    post.held = false;
    if (post.engine === undefined) this.start(post, loadMs);
  }

  /** The whole machine goes away with everything on it, silently. */
  powerOff(): void {
    this.#up = false;
    this.link.split();
    for (const post of this.posts) {
      this.#options.clock.cancel(post.coming);
      post.engine?.vanish();
      post.engine = undefined;
      post.status = "stopped";
    }
  }

  powerOn(): void {
    if (this.#up) return;
    this.#up = true;
    this.link.heal();
    this.#register();
    for (const post of this.posts) this.start(post);
  }

  report(post: Post): void {
    if (!this.#up) return;
    const { clock, link, edge } = this.#options;
    const number = ++post.number;
    const { status, epoch, reason, plan } = post;
    const coming = status === "loading" || status === "backing_off";
    const body: Report = {
      poolId: plan.poolId,
      replicaId: plan.replicaId,
      status,
      epoch,
      facts: this.#factsOf(post),
      ...(coming && { readyInMs: Math.max(0, post.readyAtMs - clock.nowMs) }),
      ...(reason !== undefined && { reason, lastError: `The engine ended: ${reason}.` }),
    };
    link.cast(() => edge.reported(body, number));
  }

  #factsOf({ plan, modelDigest, engineVersion, fingerprint, engine }: Post): ReplicaFacts {
    return {
      nodeId: this.#options.nodeId,
      zone: this.#options.nodeId === null ? "local" : `zone-${this.#options.nodeId.length % 2}`,
      engineVersion,
      modelDigest,
      ctxMax: plan.ctxMax,
      slotsTotal: plan.slots,
      slotsElsewhere: plan.slotsElsewhere,
      vramFreeBytes: plan.vramFreeBytes - 1e8 * (plan.reportsMemory ? (engine?.active ?? 0) : 0),
      features: plan.features,
      computeFingerprint: fingerprint,
      speed: plan.declared,
    };
  }

  #register(): void {
    const { nodeId, link, edge } = this.#options;
    if (nodeId !== null) link.cast(() => edge.registered(nodeId));
  }

  #beat(): void {
    const { nodeId, link, edge, clock, heartbeatMs } = this.#options;
    if (this.#up) {
      if (nodeId !== null) link.cast(() => edge.heard(nodeId));
      for (const post of this.posts) this.report(post);
    }
    clock.after(heartbeatMs, () => this.#beat());
  }
}
