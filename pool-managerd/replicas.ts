// Every engine process of this machine: started together, told about through one call, and all gone after
// `stop`. It is the one place where supervisors are made; it knows nothing of tasks.

import assert from "node:assert/strict";
import { isMainThread } from "node:worker_threads";
import type { PoolConfig, ReplicaAnnouncement } from "@llama-orch/contract";
import type { Provisioner, ProvisionMachine } from "@llama-orch/engines/provision";
import { seededRandom } from "./supervise/backoff.ts";
import { type Clock, systemClock } from "./supervise/clock.ts";
import { type Environment, findParentBinding } from "./supervise/engine-child.ts";
import type { Log } from "./supervise/log.ts";
import { type ReloadResult, SupervisedPool } from "./supervise/pool.ts";
import { ProcessFiles } from "./supervise/process-files.ts";
import { contractTimes, type SupervisionTimes, type Surroundings } from "./supervise/surroundings.ts";

export interface ReplicasOptions {
  readonly pools: readonly PoolConfig[];
  /** Where pid files and the logs of engines lie; `.runtime` by contract. */
  readonly folder: string;
  readonly provisioner: Provisioner;
  readonly machine: ProvisionMachine;
  /** What every engine finds in its environment, besides what its own launch says. */
  readonly env: Environment;
  /** Called with every change of a replica, synchronously and in order. */
  readonly announce: (announcement: ReplicaAnnouncement) => void;
  readonly log: Log;
  /** Attempts that run on a pool now, as whoever gives them out counts them; absent: nobody gives out any. */
  readonly activeLeases?: (poolId: string) => number;
  /** Of the spread of restart delays. */
  readonly seed: number;
  readonly availableBytes?: () => number;
  readonly clock?: Clock;
  readonly times?: SupervisionTimes;
}

/** A pool that is not configured here is an assertion: who asks has the same configuration. */
export interface Replicas {
  /** The replicas of the pool get nothing new; they stay up. */
  drain(poolId: string): Promise<void>;
  /** The engines of the pool end and stay away until a reload. */
  end(poolId: string): Promise<void>;
  /** To be called when nothing runs on the pool: it serves the model, or again what it served. */
  reload(poolId: string, modelRef: string): Promise<ReloadResult>;
  /** Everything ends. Resolves when no process is left. */
  stop(): Promise<void>;
}

/** Ends what an earlier run left behind, then starts. @throws OrchError when that run is not over */
export async function startReplicas(options: ReplicasOptions): Promise<Replicas> {
  assert(isMainThread, "Engines die with the thread that starts them, so only the main thread may.");
  const { clock = systemClock, times = contractTimes, log, env, folder } = options;
  const { activeLeases = () => 0 } = options;
  const files = await ProcessFiles.open(folder, clock, log);
  const binding = await findParentBinding();
  if (binding === undefined) {
    const human = "There is no setpriv of util-linux here; engines may outlive a crash until the next start.";
    log({ level: "warn", event: "engine_unbound", human });
  }
  const surroundings: Surroundings = { clock, times, files, env, binding, log, activeLeases };
  const pools = new Map(options.pools.map((pool) => [pool.id, superviseOf(options, surroundings, pool)]));
  const killAll = () => files.killAll();
  process.on("exit", killAll);
  for (const pool of pools.values()) pool.start();

  const find = (poolId: string): SupervisedPool => {
    const pool = pools.get(poolId);
    assert(pool !== undefined, `pool ${poolId} is not configured on this machine`);
    return pool;
  };
  return {
    drain: async (poolId) => find(poolId).drain(),
    end: async (poolId) => find(poolId).end(),
    reload: async (poolId, modelRef) => find(poolId).reload(modelRef),
    async stop() {
      await Promise.all([...pools.values()].map((pool) => pool.stop()));
      process.off("exit", killAll);
    },
  };
}

function superviseOf(options: ReplicasOptions, surroundings: Surroundings, pool: PoolConfig): SupervisedPool {
  const { provisioner, machine, announce, folder, seed } = options;
  const availableBytes = options.availableBytes ?? (() => process.availableMemory());
  const random = seededRandom(seed);
  return new SupervisedPool({
    ...{ pool, surroundings, provisioner, machine, announce, availableBytes, random },
    logFolder: folder,
  });
}
