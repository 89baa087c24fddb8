// What one world is made of, and the plainest one: one pool, one replica, nothing going wrong.

import { noSettings, type PoolSettings, type ReplicaFacts, type Settings } from "@llama-orch/core";
import type { Ailments, Speed } from "./engine.ts";
import type { LinkPlan } from "./link.ts";

export interface ReplicaPlan {
  readonly poolId: string;
  readonly replicaId: string;
  readonly nodeId: string | null;
  readonly slots: number;
  /** Of these: taken by somebody else. */
  readonly slotsElsewhere: number;
  readonly strict: boolean;
  readonly modelDigest: string;
  readonly engineVersion: string;
  readonly fingerprint: string;
  readonly ctxMax: number;
  readonly vramFreeBytes: number;
  readonly reportsMemory: boolean;
  readonly features: readonly string[];
  readonly speed: Speed;
  readonly declared: ReplicaFacts["speed"];
  readonly loadMs: number;
}

export interface Load {
  readonly tasks: number;
  readonly perS: number;
  /** Tasks of a burst come at once. */
  readonly burst: number;
  readonly tenants: readonly string[];
  readonly sessions: number;
  readonly batchShare: number;
  readonly maxTokens: readonly [number, number];
  readonly deadlineMs: readonly [number, number];
  readonly expectsShare: number;
  readonly wishShare: number;
  readonly cancelShare: number;
  readonly readerShare: number;
  readonly leaveShare: number;
  readonly repeatShare: number;
  readonly memoryShare: number;
  readonly hugeShare: number;
  readonly strictShare: number;
}

/** Mean milliseconds between two faults of a kind; Infinity for never. */
export interface Faults {
  readonly crashMs: number;
  readonly hangMs: number;
  readonly hostOomMs: number;
  readonly driverResetMs: number;
  readonly newVersionMs: number;
  readonly partitionMs: number;
  readonly powerMs: number;
  readonly deregisterMs: number;
  readonly removeMs: number;
  readonly restartMs: number;
  readonly ailments: Ailments;
}

/** Mean milliseconds between two acts of an operator. */
export interface Acts {
  readonly drainMs: number;
  readonly reloadMs: number;
  readonly configMs: number;
  readonly modelMs: number;
  readonly storageMs: number;
  readonly forgetMs: number;
}

export interface Mix {
  readonly seed: number;
  readonly nodes: readonly string[];
  readonly link: LinkPlan;
  readonly heartbeatMs: number;
  readonly replicas: readonly ReplicaPlan[];
  readonly settings: Settings;
  readonly load: Load;
  readonly faults: Faults;
  readonly acts: Acts;
  readonly spread: number;
  /** Nothing goes wrong and nobody interferes: what is promised without faults is demanded. */
  readonly calm: boolean;
}

export const digests: Readonly<Record<string, string>> = {
  m: `sha256:${"a".repeat(64)}`,
  m2: `sha256:${"b".repeat(64)}`,
  canary: `sha256:${"c".repeat(64)}`,
};

export const noAilments: Ailments = { reset: 0, busy: 0, refused: 0, vramOom: 0, flipped: 0 };

export const noFaults: Faults = {
  crashMs: Infinity,
  hangMs: Infinity,
  hostOomMs: Infinity,
  driverResetMs: Infinity,
  newVersionMs: Infinity,
  partitionMs: Infinity,
  powerMs: Infinity,
  deregisterMs: Infinity,
  removeMs: Infinity,
  restartMs: Infinity,
  ailments: noAilments,
};

export const noActs: Acts = {
  drainMs: Infinity,
  reloadMs: Infinity,
  configMs: Infinity,
  modelMs: Infinity,
  storageMs: Infinity,
  forgetMs: Infinity,
};

export function basePool(fields: Partial<PoolSettings> = {}): PoolSettings {
  return {
    id: "p0",
    engine: "llamacpp",
    modelRef: "m",
    determinism: "strict",
    samplerProfile: "default",
    deviceMask: "0",
    maxTokensOut: 4096,
    capacity: 100,
    fullPolicy: "reject",
    maxBodyBytes: 1_000_000,
    classes: { interactive: { weight: 8 }, batch: { weight: 1 } },
    tenants: {},
    edf: false,
    strictClasses: false,
    preemption: { mode: "disabled", maxPerMinute: 10, protect: ["interactive"] },
    timeouts: { idleMs: 2000 },
    breaker: { threshold: 5, openMs: 5000, maxRestarts: 10, windowMs: 60_000 },
    extraBytes: 0,
    ...fields,
  };
}

export function baseReplica(fields: Partial<ReplicaPlan> = {}): ReplicaPlan {
  return {
    poolId: "p0",
    replicaId: "r0",
    nodeId: null,
    slots: 1,
    slotsElsewhere: 0,
    strict: true,
    modelDigest: digests.m as string,
    engineVersion: "b1",
    fingerprint: "f0",
    ctxMax: 4096,
    vramFreeBytes: 8e9,
    reportsMemory: false,
    features: [],
    speed: { prefillMsPerToken: 0.5, firstTokenMs: 20, tokensPerS: 50, noise: 0.1 },
    declared: { tokensPerS: 50, firstTokenMs: 50 },
    loadMs: 800,
    ...fields,
  };
}

export const baseLoad: Load = {
  tasks: 100,
  perS: 5,
  burst: 1,
  tenants: ["default"],
  sessions: 50,
  batchShare: 0,
  maxTokens: [5, 40],
  deadlineMs: [600_000, 600_000],
  expectsShare: 0,
  wishShare: 0,
  cancelShare: 0,
  readerShare: 1,
  leaveShare: 0,
  repeatShare: 0,
  memoryShare: 0,
  hugeShare: 0,
  strictShare: 0,
};

export function baseMix(seed: number, fields: Partial<Mix> = {}): Mix {
  return {
    seed,
    nodes: [],
    link: { delayMs: 1, jitterMs: 0, loss: 0 },
    heartbeatMs: 2000,
    replicas: [baseReplica()],
    settings: { ...noSettings, pools: [basePool()] },
    load: baseLoad,
    faults: noFaults,
    acts: noActs,
    spread: 0.2,
    calm: true,
    ...fields,
  };
}
