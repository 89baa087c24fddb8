// Fake operators: they drain and reload pools, change the configuration and the state of models, fill the
// disk, delete sessions, and at the end put everything back in order.

import type { Effect, Settings, SwapModel } from "@llama-orch/core";
import type { Clock } from "./clock.ts";
import type { Daemon } from "./daemon.ts";
import type { Manager, Post } from "./manager.ts";
import { digests, type Mix } from "./mix.ts";
import type { Random } from "./random.ts";

export interface OperatorsOptions {
  readonly mix: Mix;
  readonly clock: Clock;
  readonly random: Random;
  readonly daemon: Daemon;
  readonly managers: readonly Manager[];
  readonly onFault: (what: string) => void;
}

export class Operators {
  readonly #options: OperatorsOptions;
  #settings: Settings;
  #over = false;

  constructor(options: OperatorsOptions) {
    this.#options = options;
    this.#settings = options.mix.settings;
  }

  /** What is configured now. */
  get settings(): Settings {
    return this.#settings;
  }

  begin(): void {
    const { mix, daemon, random } = this.#options;
    const { acts, settings, load } = mix;
    const pool = () => random.pick(settings.pools);
    this.#every(acts.drainMs, "drain", () => this.drain(pool().id, random.pick([0, 500, 5000])));
    this.#every(acts.reloadMs, "reload", () =>
      this.reload(pool().id, random.pick(["m", "m2"]), random.pick([0, 1000])),
    );
    this.#every(acts.configMs, "config", () => this.#reconfigure());
    this.#every(acts.modelMs, "model", () => {
      const state = random.pick(["Active", "Deprecated", "Retired", "Canary"] as const);
      const modelRef = random.pick(["m", "m2"]);
      daemon.say({ type: "ModelChanged", modelRef, digest: digests[modelRef] as string, state });
    });
    this.#every(acts.storageMs, "storage", () =>
      daemon.say({ type: "StorageChanged", full: random.chance(0.5) }),
    );
    this.#every(acts.forgetMs, "forget", () => {
      const sessionId = `s${random.integer(1, load.sessions)}`;
      daemon.say({ type: "SessionDeleted", tenantId: random.pick(load.tenants), sessionId });
    });
  }

  #every(meanMs: number, what: string, act: () => void): void {
    if (meanMs === Infinity) return;
    const { clock, random, onFault } = this.#options;
    clock.after(random.gapMs(meanMs), () => {
      if (this.#over) return;
      onFault(what);
      act();
      this.#every(meanMs, what, act);
    });
  }

  drain(poolId: string, deadlineMs: number): void {
    this.#options.daemon.say({ type: "DrainRequested", poolId, deadlineMs });
  }

  reload(poolId: string, modelRef: string, drainDeadlineMs: number): void {
    this.#options.daemon.say({ type: "ReloadRequested", poolId, modelRef, drainDeadlineMs });
  }

  configure(settings: Settings): void {
    this.#settings = settings;
    this.#options.daemon.say({ type: "Configured", settings });
    for (const { manager, post } of this.#posts()) {
      const wanted = settings.pools.some(({ id }) => id === post.plan.poolId);
      if (!wanted && !post.held) manager.hold(post);
      if (!wanted || !post.held || this.#swapping.has(post.plan.poolId)) continue;
      post.modelDigest = post.plan.modelDigest;
      manager.release(post);
    }
  }

  /** More room, other weights, another preemption; sometimes a pool goes away or comes back. */
  #reconfigure(): void {
    const { random, mix, daemon } = this.#options;
    if (!daemon.isUp) return;
    const keep = mix.settings.pools.filter(() => random.chance(0.8));
    const pools = (keep.length > 0 ? keep : mix.settings.pools).map((pool) => ({
      ...pool,
      capacity: pool.capacity + random.integer(0, 5),
      classes: { ...pool.classes, batch: { ...pool.classes.batch, weight: random.integer(1, 4) } },
      preemption: { ...pool.preemption, mode: random.pick(["disabled", "soft", "hard"] as const) },
    }));
    this.configure({ ...this.#settings, pools });
  }

  readonly #swapping = new Set<string>();

  #posts(poolId?: string): { manager: Manager; post: Post }[] {
    return this.#options.managers.flatMap((manager) =>
      manager.posts
        .filter(({ plan }) => poolId === undefined || plan.poolId === poolId)
        .map((post) => ({ manager, post })),
    );
  }

  /** The engines of a pool change their model, or cannot and come back with the old one. */
  swap({ poolId, toModelRef }: SwapModel, ok = this.#over || this.#options.random.chance(0.7)): void {
    const { clock, random } = this.#options;
    this.#swapping.add(poolId);
    const posts = this.#posts(poolId);
    for (const { manager, post } of posts) manager.hold(post);
    const digest = digests[toModelRef];
    clock.after(random.integer(100, 3000), () => {
      for (const { post } of posts) if (ok && digest !== undefined) post.modelDigest = digest;
      this.#answer(poolId, ok && digest !== undefined);
      this.#swapping.delete(poolId);
      const wanted = this.#settings.pools.some(({ id }) => id === poolId);
      if (wanted) for (const { manager, post } of posts) manager.release(post, random.integer(0, 500));
    });
  }

  /** Said again until somebody is there to hear it. */
  #answer(poolId: string, ok: boolean): void {
    const { daemon, clock } = this.#options;
    if (!daemon.isUp) {
      clock.after(300, () => this.#answer(poolId, ok));
      return;
    }
    const error = ok ? {} : { error: "The model could not be loaded." };
    daemon.say({ type: "ReloadEnded", poolId, ok, engineVersion: ok ? "b1" : null, ...error });
  }

  perform(effect: Effect): void {
    if (effect.type !== "SwapModel") return;
    // A swap begins after the event that asked for it has been dealt with.
    this.#options.clock.after(0, () => this.swap(effect));
  }

  /** Everything as the configuration has it, and every pool serving its own model. */
  heal(): void {
    const { daemon, mix } = this.#options;
    this.#over = true;
    this.configure(mix.settings);
    daemon.say({ type: "StorageChanged", full: false });
    for (const modelRef of ["m", "m2"]) {
      daemon.say({ type: "ModelChanged", modelRef, digest: digests[modelRef] as string, state: "Active" });
    }
    this.#restore(20);
  }

  /** Asks for each pool's own model until it has it. */
  #restore(tries: number): void {
    const { daemon, mix, clock } = this.#options;
    let open = 0;
    for (const { id, modelRef } of mix.settings.pools) {
      const pool = daemon.core.state.pools.get(id);
      if (pool === undefined || (pool.modelRef === modelRef && pool.draining === undefined)) continue;
      open++;
      if (pool.reload === undefined) this.reload(id, modelRef, 1000);
    }
    if (open > 0 && tries > 0) clock.after(2000, () => this.#restore(tries - 1));
    else if (open > 0) throw new Error(`${open} pools did not come back after everything was healed.`);
  }
}
