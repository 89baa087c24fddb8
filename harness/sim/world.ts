// A whole world from one seed: the core in its daemon, relay, nodes, network, clients and operators on one
// clock. First things go wrong, then everything is healed and comes to rest.

import type { Effect } from "@llama-orch/core";
import { Chaos } from "./chaos.ts";
import { Clients } from "./clients.ts";
import { Clock } from "./clock.ts";
import { Daemon } from "./daemon.ts";
import { Judge } from "./judge.ts";
import { Link } from "./link.ts";
import { Manager, type Report } from "./manager.ts";
import type { Mix } from "./mix.ts";
import { Operators } from "./operators.ts";
import { Random } from "./random.ts";
import { Relay, type Stream } from "./relay.ts";
import { count, type Tally } from "./tally.ts";

/** After so long a replica that did not report is not there. */
const unheardMs = 60_000;

export class World {
  readonly mix: Mix;
  readonly clock = new Clock();
  readonly random: Random;
  readonly daemon: Daemon;
  readonly relay: Relay;
  readonly judge: Judge;
  readonly clients: Clients;
  readonly operators: Operators;
  readonly chaos: Chaos;
  readonly managers: readonly Manager[];
  readonly faults: Tally = {};
  readonly #lastReport = new Map<string, number>();

  constructor(mix: Mix) {
    const { clock } = this;
    const { seed } = mix;
    const random = new Random(seed, "world");
    this.mix = mix;
    this.random = random;
    this.judge = new Judge({ calm: mix.calm, snapshotEvery: 12 });
    this.daemon = new Daemon({
      seed,
      clock,
      witness: this.judge,
      perform: (effect) => this.#perform(effect),
      streamOf: (jobId) => this.relay.streams.get(jobId),
    });
    this.relay = new Relay({
      clock,
      say: (body) => this.daemon.say(body),
      find: (dispatch) => this.#find(dispatch),
      onDelivered: (stream) => this.#delivered(stream),
    });
    this.managers = [null, ...mix.nodes].map((nodeId) => this.#manager(nodeId));
    const fault = (what: string) => this.#fault(what);
    const { daemon, relay, managers } = this;
    this.clients = new Clients({ mix, clock, random: random.fork("clients"), daemon, relay });
    this.operators = new Operators({
      mix,
      clock,
      random: random.fork("operators"),
      daemon,
      managers,
      onFault: fault,
    });
    this.chaos = new Chaos({
      faults: mix.faults,
      clock,
      random: random.fork("chaos"),
      managers,
      restart: (downMs) => this.restart(downMs),
      deregister: (nodeId) => {
        daemon.say({ type: "NodeDeregistered", nodeId });
      },
      onFault: fault,
    });
  }

  #manager(nodeId: string | null): Manager {
    const { clock, mix } = this;
    const random = this.random.fork(`node ${nodeId}`);
    const plan = nodeId === null ? { delayMs: 1, jitterMs: 0, loss: 0 } : mix.link;
    const link = new Link(clock, random.fork(`link ${nodeId}`), plan);
    const manager = new Manager({
      nodeId,
      heartbeatMs: mix.heartbeatMs,
      link,
      clock,
      random,
      spread: mix.spread,
      ailments: () => this.chaos.ailments,
      onFault: (what) => this.#fault(what),
      edge: {
        heard: (id) => this.#heard(id),
        registered: (id) => this.daemon.say({ type: "NodeRegistered", nodeId: id, address: `${id}:1` }),
        removed: (poolId, replicaId) => {
          this.daemon.say({ type: "ReplicaRemoved", poolId, replicaId, reason: "crash" });
        },
        reported: (report, number) => this.#reported(report, number),
      },
    });
    for (const replica of mix.replicas) if (replica.nodeId === nodeId) manager.add(replica);
    return manager;
  }

  #fault(what: string): void {
    count(this.faults, what);
  }

  /** A node that was forgotten is told so by the answer to its heartbeat, and registers again. */
  #heard(nodeId: string): void {
    if (!this.daemon.isUp) return;
    const known = this.daemon.core.state.nodes.has(nodeId);
    this.daemon.say(
      known ? { type: "NodeHeard", nodeId } : { type: "NodeRegistered", nodeId, address: `${nodeId}:1` },
    );
  }

  /** The edge drops a report that a later one has overtaken. */
  #reported(report: Report, number: number): void {
    const key = `${report.poolId}/${report.replicaId}`;
    if (!this.daemon.isUp || number <= (this.#lastReport.get(key) ?? 0)) return;
    this.#lastReport.set(key, number);
    this.daemon.say({ type: "ReplicaReported", ...report });
  }

  #find(dispatch: Extract<Effect, { type: "DispatchAttempt" }>) {
    const manager = this.managers.find(({ nodeId }) => nodeId === dispatch.nodeId) as Manager;
    const engine = manager.find(`${dispatch.poolId}/${dispatch.replicaId}`)?.engine;
    return { engine: engine?.epoch === dispatch.epoch ? engine : undefined, link: manager.link };
  }

  #delivered(stream: Stream): void {
    const outcome = this.judge.cases.get(stream.jobId)?.outcome;
    if (outcome !== undefined) throw new Error(`Task ${stream.jobId} gets a token after its outcome.`);
    this.clients.delivered(stream);
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "AcceptTask":
        return this.clients.open(effect.jobId, this.judge.cases.get(effect.jobId)?.event);
      case "DispatchAttempt":
        return this.relay.start(effect);
      case "CloseGate":
        return this.relay.closeGate(effect.jobId);
      case "AbortAttempt":
        return this.relay.abort(effect.jobId, effect.attempt);
      case "EndTask":
        return this.clients.ended(effect.jobId);
      default:
        return this.operators.perform(effect);
    }
  }

  /** The daemon goes away, politely or not, and comes back from what it had written down. */
  restart(downMs: number): void {
    const { daemon, relay, clock } = this;
    if (!daemon.isUp) return;
    if (downMs % 2 === 0) daemon.say({ type: "ShutdownBegan" });
    daemon.stop();
    relay.die();
    clock.after(downMs, () => {
      if (downMs % 3 === 0) return this.#recover();
      daemon.start();
      // All of them first: what is placed in the meantime is not lost.
      const lost = [...daemon.core.state.jobs.values()].flatMap(({ jobId, place }) =>
        place?.kind === "running" ? [relay.lostWithProcess(jobId, place.attempt)] : [],
      );
      for (const body of lost) daemon.say(body);
      this.clients.reconnect();
    });
  }

  /** From facts alone, in the order in which a daemon does it. */
  #recover(): void {
    const { daemon, relay, judge, operators, clients, clock } = this;
    count(this.faults, "recovery");
    const { tasks } = daemon.recover();
    judge.processGone();
    for (const task of tasks) relay.takeOver(task);
    daemon.say({ type: "Configured", settings: operators.settings });
    for (const event of daemon.facts.retold()) daemon.say(event);
    for (const { jobId, sentTo, frames } of tasks) {
      if (sentTo !== undefined) daemon.say(relay.lostWithProcess(jobId, sentTo.attempt, frames));
    }
    daemon.say({ type: "Restarted" });
    for (const { jobId } of tasks) assertNotHomeless(jobId, judge.cases.get(jobId)?.outcome);
    clients.reconnect();
    clock.after(unheardMs, () => this.#removeUnheard());
  }

  /** Replicas that an earlier process knew and nobody has announced since. */
  #removeUnheard(): void {
    const { daemon } = this;
    if (!daemon.isUp) return;
    for (const { id: poolId, replicas } of daemon.core.state.pools.values()) {
      for (const { replicaId, epoch } of [...replicas.values()]) {
        if (epoch < 0) daemon.say({ type: "ReplicaRemoved", poolId, replicaId, reason: "restart" });
      }
    }
  }

  begin(): void {
    this.daemon.say({ type: "Configured", settings: this.mix.settings });
    for (const manager of this.managers) manager.begin();
  }

  /** The whole life of the world. */
  run(): void {
    const { clock, mix } = this;
    this.begin();
    clock.runUntil(200);
    this.clients.begin(clock.nowMs);
    this.chaos.begin();
    this.operators.begin();
    const sendingMs = (1000 * mix.load.tasks) / mix.load.perS;
    clock.runUntil(clock.nowMs + Math.min(180_000, sendingMs * 1.2 + 5000));
    this.heal();
    this.settle();
  }

  heal(): void {
    this.chaos.heal();
    // A restart that is under way has to end before operators are heard.
    this.clock.runUntil(this.clock.nowMs + 5000);
    this.operators.heal();
  }

  /** Until nobody wants anything any more, and then until sessions have expired. */
  settle(): void {
    const { clock, daemon, clients } = this;
    const untilMs = clock.nowMs + 3_600_000;
    while (!(clients.areDone && daemon.core.state.jobs.size === 0)) {
      if (clock.nowMs >= untilMs) throw new Error(stuck(daemon));
      clock.runUntil(clock.nowMs + 1000);
    }
    clock.runUntil(clock.nowMs + daemon.core.state.settings.session.ttlMs + 130_000);
  }
}

/** Nobody has reported yet, so nobody can say that no pool serves a task any more. */
function assertNotHomeless(jobId: string, end: Extract<Effect, { type: "EndTask" }> | undefined): void {
  const code = end?.outcome.kind === "failed" ? end.outcome.code : undefined;
  if (code === "POOL_UNAVAILABLE") throw new Error(`Task ${jobId} was given up before a replica reported.`);
}

function stuck({ core }: Daemon): string {
  const live = [...core.state.jobs.values()].map(({ jobId, place }) => `${jobId} ${place?.kind}`);
  return `Tasks that never end: ${live.slice(0, 5).join(", ")} (${live.length}).`;
}
