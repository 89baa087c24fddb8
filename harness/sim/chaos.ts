// What goes wrong in the fault phase, each kind at its own random times, and how all of it is healed.

import type { Clock, Planned } from "./clock.ts";
import type { Manager, Post } from "./manager.ts";
import { type Faults, noAilments } from "./mix.ts";
import type { Random } from "./random.ts";

export interface ChaosOptions {
  readonly faults: Faults;
  readonly clock: Clock;
  readonly random: Random;
  readonly managers: readonly Manager[];
  readonly restart: (downMs: number) => void;
  readonly deregister: (nodeId: string) => void;
  readonly onFault: (what: string) => void;
}

export class Chaos {
  readonly #options: ChaosOptions;
  readonly #planned = new Set<Planned>();
  #over = false;

  constructor(options: ChaosOptions) {
    this.#options = options;
  }

  get ailments() {
    return this.#over ? noAilments : this.#options.faults.ailments;
  }

  begin(): void {
    const { faults, restart, random } = this.#options;
    this.#every(faults.crashMs, "crash", () =>
      this.#onPost((manager, post) => manager.fail(post, "crash", this.#told())),
    );
    this.#every(faults.hostOomMs, "host_oom", () =>
      this.#onPost((manager, post) => manager.fail(post, "host_oom")),
    );
    this.#every(faults.hangMs, "hang", () =>
      this.#onPost((manager, post) => manager.hang(post, random.pick([500, 2500, 8000]))),
    );
    this.#every(faults.driverResetMs, "driver_reset", () => this.#resetDriver());
    this.#every(faults.newVersionMs, "new_version", () => this.#onPost((...at) => this.#change(...at)));
    this.#every(faults.partitionMs, "partition", () => this.#partition());
    this.#every(faults.powerMs, "power", () => this.#power());
    this.#every(faults.deregisterMs, "deregister", () => {
      const { nodeId } = this.#node();
      if (nodeId !== null) this.#options.deregister(nodeId);
    });
    this.#every(faults.removeMs, "remove", () =>
      this.#onPost((manager, post) => manager.remove(post, random.integer(100, 5000))),
    );
    this.#every(faults.restartMs, "restart", () => restart(random.integer(10, 4000)));
  }

  #every(meanMs: number, what: string, act: () => void): void {
    if (meanMs === Infinity) return;
    const { clock, random, onFault } = this.#options;
    const planned = clock.after(random.gapMs(meanMs), () => {
      this.#planned.delete(planned);
      if (this.#over) return;
      onFault(what);
      act();
      this.#every(meanMs, what, act);
    });
    this.#planned.add(planned);
  }

  #node(): Manager {
    return this.#options.random.pick(this.#options.managers);
  }

  #onPost(act: (manager: Manager, post: Post) => void): void {
    const manager = this.#node();
    if (manager.posts.length > 0) act(manager, this.#options.random.pick(manager.posts));
  }

  #told(): "first" | "later" {
    return this.#options.random.chance(0.5) ? "first" : "later";
  }

  /** Every engine on one device of one node goes at once. */
  #resetDriver(): void {
    this.#onPost((manager, first) => {
      for (const post of manager.posts) {
        if (post.plan.poolId === first.plan.poolId) manager.fail(post, "driver_reset");
      }
    });
  }

  /** It comes back as something else: a strict stream cannot go on there. */
  #change(manager: Manager, post: Post): void {
    const { random } = this.#options;
    if (random.chance(0.5)) post.engineVersion = post.engineVersion === "b1" ? "b2" : "b1";
    else post.fingerprint = post.fingerprint === "f0" ? "f1" : "f0";
    manager.fail(post, "crash");
  }

  #partition(): void {
    const { clock, random } = this.#options;
    const { link, nodeId } = this.#node();
    if (nodeId === null) return;
    link.split();
    clock.after(random.pick([300, 4000, 12_000]), () => link.heal());
  }

  #power(): void {
    const { clock, random } = this.#options;
    const manager = this.#node();
    if (manager.nodeId === null) return;
    manager.powerOff();
    clock.after(random.pick([1000, 12_000]), () => manager.powerOn());
  }

  heal(): void {
    this.#over = true;
    for (const planned of this.#planned) this.#options.clock.cancel(planned);
    for (const manager of this.#options.managers) {
      manager.link.plan = { ...manager.link.plan, loss: 0 };
      manager.link.heal();
      manager.powerOn();
    }
  }
}
