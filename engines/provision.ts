// The port to what provides engines: from a pool's configuration to a process that can be started. A
// provisioner starts nothing and watches nothing; whoever supervises does.

import type { Plan, PoolConfig, PreparedEngine } from "@llama-orch/contract";

export interface Provisioner {
  /** What `ensure` would do, step by step; it looks, changes nothing, and throws for nothing missing. */
  plan(pool: PoolConfig, replica: ReplicaPlace, machine: ProvisionMachine): Promise<Plan>;
  /**
   * Puts everything in place that one replica needs. May be called again after any end of the process; the
   * caller owns what it starts from the answer.
   * @throws OrchError whose message says what a person has to do
   */
  ensure(pool: PoolConfig, replica: ReplicaPlace, machine: ProvisionMachine): Promise<EngineLaunch>;
}

/** Which replica of the pool, and where it listens: port 0 lets the engine choose a free one. */
export interface ReplicaPlace {
  readonly replicaId: string;
  readonly port: number;
  /** What the engine asks of its callers; it travels in the environment, never on the command line. */
  readonly apiKey?: string;
}

/** What is true of the machine and not of the pool. */
export interface ProvisionMachine {
  /** Whether an NVIDIA driver is loaded, as `/proc/driver/nvidia/version` shows. */
  readonly hasNvidiaDriver: boolean;
}

/** All that is needed to start one engine process and to know when it serves. */
export interface EngineLaunch {
  readonly prepared: PreparedEngine;
  readonly command: string;
  readonly args: readonly string[];
  /** Added to the environment of whoever starts it; `undefined` takes a variable away. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Whether it leaves when the IPC channel to its parent closes; then give it one. */
  readonly ipc: boolean;
  /** Group 1 of the first match in a line of stderr is the address it listens on. */
  readonly listening: RegExp;
  /** Answers 200 once the model is loaded, and 503 before. */
  readonly healthPath: string;
  /** The digest that the configuration pins; the engine's own `/props` says what it serves. */
  readonly modelDigest?: string;
}
