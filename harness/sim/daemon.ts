// Whoever holds the core: numbers events, keeps its timers, performs its effects in their order, and can be
// stopped and started again, from a snapshot or from facts. On every stop it also proves that an older
// snapshot and the events since lead to exactly the same state and effects.

import assert from "node:assert/strict";
import { type Effect, type Event, Orchestrator, type Snapshot, type Survived } from "@llama-orch/core";
import type { Clock, Planned } from "./clock.ts";
import { type Delivered, Facts } from "./facts.ts";
import { hash } from "./random.ts";

export type Body<E = Event> = E extends Event ? Omit<E, "seq" | "nowMs"> : never;

/** Who watches every event with what it caused. */
export interface Witness {
  before(event: Event, core: Orchestrator): void;
  after(event: Event, effects: readonly Effect[], core: Orchestrator): void;
}

export interface DaemonOptions {
  readonly seed: number;
  readonly clock: Clock;
  readonly witness: Witness;
  readonly perform: (effect: Effect) => void;
  readonly streamOf: (jobId: string) => Delivered | undefined;
}

/** Events between two snapshots that are kept to prove a replay. */
const eventsPerSnapshot = 250;

/** A seed takes a few thousand events; one that takes so many is going round in circles. */
const eventsMax = 60_000;

export class Daemon {
  core: Orchestrator;
  readonly facts: Facts;
  readonly #options: DaemonOptions;
  readonly #timers = new Map<string, Planned>();
  #up = true;
  #seq = 0;
  #digest = 0;
  #base: { snapshot: Snapshot; digest: number };
  #journal: Event[] = [];
  /** What happened last, for whoever has to explain a failure. */
  readonly lately: string[] = [];

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.core = new Orchestrator(options.seed);
    this.facts = new Facts(options.streamOf);
    this.#base = { snapshot: this.core.snapshot(), digest: 0 };
  }

  get isUp(): boolean {
    return this.#up;
  }

  get events(): number {
    return this.#seq;
  }

  /** Of all effects so far. */
  get digest(): string {
    return this.#digest.toString(16).padStart(8, "0");
  }

  /** Says something to the core, unless nobody is there to hear it. */
  say(body: Body): readonly Effect[] {
    if (!this.#up) return [];
    if (this.#seq >= eventsMax) throw new Error(`After ${eventsMax} events there is still no rest.`);
    const { nowMs } = this.#options.clock;
    const event = { seq: ++this.#seq, nowMs, ...body, ...this.#remembered(body, nowMs) } as Event;
    if (event.type !== "TimerFired") this.#note(`> ${JSON.stringify(event)}`);
    else this.#note(`> ${event.nowMs} timer ${event.timer}`);
    this.#journal.push(event);
    const { witness } = this.#options;
    witness.before(event, this.core);
    const effects = this.core.handle(event);
    for (const effect of effects) this.#take(effect);
    this.core.assertInvariants();
    this.facts.keep(event, effects, this.core);
    witness.after(event, effects, this.core);
    if (this.#journal.length >= eventsPerSnapshot) this.#rebase();
    for (const effect of effects) this.#perform(effect);
    return effects;
  }

  /** What the edge looks up before it hands a task in. */
  #remembered(body: Body, nowMs: number) {
    if (body.type !== "TaskSubmitted") return undefined;
    const remembered = this.facts.remembered(body.task.tenantId, body.task.taskId, nowMs);
    return remembered === undefined ? undefined : { remembered };
  }

  #take(effect: Effect): void {
    const text = JSON.stringify(effect);
    this.#digest = hash(this.#digest, text);
    this.#note(`  < ${text}`);
  }

  #note(line: string): void {
    this.lately.push(line);
    if (this.lately.length > 400) this.lately.splice(0, 200);
  }

  #perform(effect: Effect): void {
    const { clock, perform } = this.#options;
    if (effect.type === "SetTimer") {
      if (effect.atMs < clock.nowMs) throw new Error(`Timer ${effect.timer} is set in the past.`);
      clock.cancel(this.#timers.get(effect.timer));
      this.#setTimer(effect.timer, effect.atMs);
    } else if (effect.type === "ClearTimer") {
      clock.cancel(this.#timers.get(effect.timer));
      this.#timers.delete(effect.timer);
    } else {
      perform(effect);
    }
  }

  #setTimer(timer: string, atMs: number): void {
    const fire = () => {
      this.#timers.delete(timer);
      this.say({ type: "TimerFired", timer });
    };
    this.#timers.set(timer, this.#options.clock.at(atMs, fire));
  }

  /** The core's own book of timers and the ones that really run are the same. */
  assertTimers(): void {
    const running = [...this.#timers].map(([timer, { atMs }]) => `${timer} ${atMs}`).sort();
    const kept = [...this.core.state.timers].map(([timer, atMs]) => `${timer} ${Math.ceil(atMs)}`).sort();
    assert.deepEqual(running, kept, "The timers of a snapshot are not those that run.");
  }

  #rebase(): void {
    this.#base = { snapshot: this.core.snapshot(), digest: this.#digest };
    this.#journal = [];
  }

  stop(): void {
    this.assertTimers();
    this.#up = false;
    for (const planned of this.#timers.values()) this.#options.clock.cancel(planned);
    this.#timers.clear();
    this.#proveReplay();
  }

  start(): void {
    const snapshot = this.core.snapshot();
    this.core = Orchestrator.restore(JSON.parse(JSON.stringify(snapshot)) as Snapshot);
    assert.deepEqual(
      this.core.snapshot(),
      snapshot,
      "A restored state is not the one that was written down.",
    );
    this.#goOn();
    this.say({ type: "Restarted" });
  }

  /** From facts alone: what was decided stands, and what was learnt is forgotten. */
  recover(): Survived {
    const survived = JSON.parse(JSON.stringify(this.facts.survived())) as Survived;
    this.core = Orchestrator.recover(survived, this.#options.seed);
    const { jobs } = this.core.state;
    const left = survived.tasks.map(({ jobId }) => jobId).sort();
    assert.deepEqual([...jobs.keys()].sort(), left, "Not every task came back.");
    this.#goOn();
    return survived;
  }

  #goOn(): void {
    this.core.assertInvariants();
    this.#up = true;
    for (const [timer, atMs] of this.core.state.timers) this.#setTimer(timer, atMs);
    this.#rebase();
  }

  #proveReplay(): void {
    const { snapshot, digest } = this.#base;
    const copy = Orchestrator.restore(JSON.parse(JSON.stringify(snapshot)) as Snapshot);
    let replayed = digest;
    for (const event of this.#journal) {
      const effects = copy.handle(JSON.parse(JSON.stringify(event)) as Event);
      for (const effect of effects) replayed = hash(replayed, JSON.stringify(effect));
    }
    assert.equal(replayed, this.#digest, "A replay from a snapshot has other effects than the first run.");
    assert.deepEqual(
      copy.snapshot(),
      this.core.snapshot(),
      "A replay from a snapshot ends in another state.",
    );
  }
}
