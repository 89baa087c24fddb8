// The processes of one pool: all replicas serve one model, and all change it together. It owns which model
// that is and how a change is undone; what a single process does is decided in its own state machine.

import { stat } from "node:fs/promises";
import type { PoolConfig, ReplicaAnnouncement } from "@llama-orch/contract";
import type { EngineLaunch, Provisioner, ProvisionMachine } from "@llama-orch/engines/provision";
import { RestartBreaker, restartNumbers } from "./breaker.ts";
import { EngineLog } from "./engine-log.ts";
import { messageOf } from "./fault.ts";
import { SupervisedProcess } from "./process.ts";
import type { Surroundings } from "./surroundings.ts";

export interface PoolOptions {
  readonly pool: PoolConfig;
  readonly surroundings: Surroundings;
  readonly logFolder: string;
  readonly provisioner: Provisioner;
  readonly machine: ProvisionMachine;
  readonly random: () => number;
  readonly availableBytes: () => number;
  readonly announce: (announcement: ReplicaAnnouncement) => void;
}

/** The pool serves the new model, or again what it served before. */
export interface ReloadResult {
  readonly ok: boolean;
  readonly engineVersion: string | null;
  readonly error?: string;
}

/** All replicas with one model. */
interface Generation {
  readonly modelRef: string;
  readonly processes: readonly SupervisedProcess[];
}

/** Contexts and buffers on top of the weights, generously. */
const overWeights = 1.5;
const perProcessBytes = 256 << 20;

export class SupervisedPool {
  readonly #options: PoolOptions;
  readonly #log: EngineLog;
  #serving: Generation;
  /** During a change of the model: the ones that come, then the ones that go. */
  #other: Generation | undefined;
  #closed = false;
  /** Changes of the pool come one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: PoolOptions) {
    this.#options = options;
    const { pool, logFolder, surroundings } = options;
    this.#log = new EngineLog(logFolder, pool.id, (error) => {
      const human = `The log of pool ${pool.id} could not be written: ${messageOf(error)}`;
      surroundings.log({ level: "warn", event: "engine_log_failed", human, pool_id: pool.id });
    });
    this.#serving = this.#generation(pool.model);
  }

  /** A pool that is not to be loaded yet waits for its first reload. */
  start(): void {
    if (this.#options.pool.preload) startAll(this.#serving);
    else for (const process of this.#serving.processes) process.mute(false);
  }

  /** Its replicas get nothing new and finish what they have. */
  async drain(): Promise<void> {
    await Promise.all(this.#serving.processes.map((process) => process.drain()));
  }

  /** Its engines end; the next reload brings them back. */
  end(): Promise<void> {
    return this.#next(() => stopAll(this.#serving));
  }

  /** To be called when no task runs. Never throws. */
  reload(modelRef: string): Promise<ReloadResult> {
    return this.#next(() => (modelRef === this.#serving.modelRef ? this.#revive() : this.#swap(modelRef)));
  }

  /** For good. Resolves when no process is left and what they wrote is on disk. */
  async stop(): Promise<void> {
    this.#closed = true;
    await Promise.all([stopAll(this.#serving), this.#other && stopAll(this.#other)]);
    await this.#turn;
    await this.#log.close();
  }

  #next<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(change);
    this.#turn = turn.catch(() => {
      // Whoever asked for the change hears of it; the next one starts all the same.
    });
    return turn;
  }

  /** The same model: what serves goes on, what does not is started. */
  async #revive(): Promise<ReloadResult> {
    for (const process of this.#serving.processes) {
      if (process.phase === "ready") continue;
      if (process.phase === "draining") process.resume();
      else await this.#restart(process);
    }
    return this.#result(await failureOf(this.#serving));
  }

  async #restart(process: SupervisedProcess): Promise<void> {
    await process.stop();
    if (!this.#closed) process.start();
  }

  async #swap(modelRef: string): Promise<ReloadResult> {
    const old = this.#serving;
    let staged: EngineLaunch;
    try {
      staged = await this.#launch(modelRef, old.processes[0]?.replicaId ?? "r0", 0, "");
    } catch (error) {
      return this.#result(messageOf(error));
    }
    const coming = this.#generation(modelRef);
    const serves = old.processes.every(({ phase }) => phase === "ready" || phase === "draining");
    const failure =
      serves && (await this.#roomForBoth(staged))
        ? await this.#swapBeside(old, coming)
        : await this.#swapInPlace(old, coming);
    return this.#result(failure);
  }

  /** The old ones stay up, unheard, until the new ones are ready: a failure costs nothing. */
  async #swapBeside(old: Generation, coming: Generation): Promise<string | undefined> {
    this.#other = coming;
    for (const process of coming.processes) process.mute(true);
    this.#startUnlessClosed(coming);
    const failure =
      (await failureOf(coming)) ?? (this.#closed ? "Its engines are being stopped." : undefined);
    if (failure === undefined) {
      this.#serving = coming;
      this.#other = old;
      for (const process of old.processes) process.mute(true);
      for (const process of coming.processes) process.mute(false);
    } else {
      for (const process of old.processes) if (process.phase === "draining") process.resume();
    }
    await stopAll(this.#other);
    this.#other = undefined;
    return failure;
  }

  /** There is no room for both: the old ones end first, and are started again when the new ones fail. */
  async #swapInPlace(old: Generation, coming: Generation): Promise<string | undefined> {
    await stopAll(old);
    this.#serving = coming;
    this.#startUnlessClosed(coming);
    const failure = await failureOf(coming);
    if (failure === undefined) return undefined;
    await stopAll(coming);
    this.#serving = old;
    this.#startUnlessClosed(old);
    const again = await failureOf(old);
    return again === undefined
      ? failure
      : `${failure} The model from before does not come up either: ${again}`;
  }

  #startUnlessClosed(generation: Generation): void {
    if (!this.#closed) startAll(generation);
  }

  /** On a GPU the memory is not ours to judge, and a fixed port is held by the old engine. */
  async #roomForBoth({ prepared }: EngineLaunch): Promise<boolean> {
    const { pool, availableBytes } = this.#options;
    if (pool.devices.length > 0 || pool.provisioning.ports.length > 0) return false;
    try {
      const { size } = await stat(prepared.model_path);
      return pool.replicas * (size * overWeights + perProcessBytes) < availableBytes();
    } catch {
      // What cannot be measured is not risked; the engine itself will say what is wrong with its model.
      return false;
    }
  }

  #result(failure: string | undefined): ReloadResult {
    const engineVersion = this.#serving.processes[0]?.engineVersion ?? null;
    return { ok: failure === undefined, engineVersion, ...(failure !== undefined && { error: failure }) };
  }

  #generation(modelRef: string): Generation {
    const { pool, surroundings, random, announce } = this.#options;
    const processes = Array.from({ length: pool.replicas }, (_, index) => {
      const replicaId = `r${index}`;
      return new SupervisedProcess({
        ...surroundings,
        poolId: pool.id,
        replicaId,
        engine: pool.engine,
        modelRef,
        deviceMask: pool.devices.join(","),
        engineLog: this.#log,
        breaker: new RestartBreaker(restartNumbers(pool.supervision), random),
        secrets: Object.values(pool.provisioning.env),
        prepare: (apiKey) => this.#launch(modelRef, replicaId, index, apiKey),
        announce,
      });
    });
    return { modelRef, processes };
  }

  #launch(modelRef: string, replicaId: string, index: number, apiKey: string): Promise<EngineLaunch> {
    const { pool, provisioner, machine } = this.#options;
    const place = { replicaId, port: pool.provisioning.ports[index] ?? 0, apiKey };
    return provisioner.ensure(modelRef === pool.model ? pool : withModel(pool, modelRef), place, machine);
  }
}

/** Where the configured model comes from says nothing about another one. */
function withModel(pool: PoolConfig, modelRef: string): PoolConfig {
  const { model: _, ...provisioning } = pool.provisioning;
  return { ...pool, model: modelRef, provisioning };
}

function startAll({ processes }: Generation): void {
  for (const process of processes) process.start();
}

async function stopAll({ processes }: Generation): Promise<void> {
  await Promise.all(processes.map((process) => process.stop()));
}

/** What the first of them that did not become ready says; undefined when all did. */
async function failureOf({ processes }: Generation): Promise<string | undefined> {
  const all = await Promise.all(processes.map((process) => process.settled()));
  const failed = all.find(({ ok }) => !ok);
  return failed === undefined || failed.ok ? undefined : failed.error;
}
