// The part of the configuration that decisions are made by, as plain JSON. It arrives in an event, so that a
// replay knows what was configured at every moment.

import type {
  Determinism,
  EngineKind,
  FullPolicy,
  PlacementStrategy,
  PreemptionMode,
  Priority,
  SamplerProfile,
} from "@llama-orch/contract";

export interface Settings {
  readonly pools: readonly PoolSettings[];
  readonly session: SessionSettings;
  /** Budgets of tenants; they outlive their sessions. */
  readonly tenantBudgets: Readonly<Record<string, Budgets>>;
  readonly placement: { readonly strategy: PlacementStrategy; readonly allowPin: boolean };
  readonly stream: { readonly disconnectGraceMs: number; readonly cancelOnDisconnect: boolean };
  readonly nodes: { readonly enabled: boolean; readonly timeoutMs: number };
  readonly slo: SloSettings;
  readonly rememberMs: number;
}

export interface PoolSettings {
  readonly id: string;
  readonly engine: EngineKind;
  readonly modelRef: string;
  readonly determinism: Determinism;
  readonly samplerProfile: SamplerProfile;
  /** Comma-separated device numbers; empty on a CPU. */
  readonly deviceMask: string;
  readonly maxTokensOut: number;
  readonly capacity: number;
  readonly fullPolicy: FullPolicy;
  readonly maxQueuedTokens?: number;
  readonly maxBodyBytes: number;
  readonly classes: Readonly<Record<Priority, ClassSettings>>;
  readonly tenants: Readonly<Record<string, TenantSettings>>;
  readonly edf: boolean;
  readonly strictClasses: boolean;
  readonly preemption: PreemptionSettings;
  readonly timeouts: { readonly idleMs: number; readonly wallMs?: number; readonly firstTokenMs?: number };
  readonly canary?: CanarySettings;
  readonly antiAffinity?: { readonly scope: "node" | "zone"; readonly pools: readonly string[] };
  readonly breaker: BreakerSettings;
  /** Draft model and prefix cache: memory that a task needs beyond its own KV cache. */
  readonly extraBytes: number;
}

/** Who gets another model: a share of the sessions, and every task with the label. */
export interface CanarySettings {
  readonly modelRef: string;
  readonly percent: number;
  readonly label?: string;
}

export interface ClassSettings {
  readonly weight: number;
  readonly queueCapacity?: number;
  readonly rateLimitRps?: number;
}

export interface TenantSettings {
  readonly weight: number;
  readonly maxConcurrent?: number;
  readonly rps?: number;
  readonly maxMemoryBytes?: number;
}

export interface PreemptionSettings {
  readonly mode: PreemptionMode;
  readonly maxPerMinute: number;
  readonly protect: readonly Priority[];
}

/** Faults in a row that stop a pool from taking work, for how long, and how long a trial must hold. */
export interface BreakerSettings {
  readonly threshold: number;
  readonly openMs: number;
  readonly maxRestarts: number;
  readonly windowMs: number;
}

export interface Budgets {
  readonly tokens?: number;
  readonly timeMs?: number;
  readonly cost?: number;
}

export interface SessionSettings {
  readonly ttlMs: number;
  readonly maxTurns: number;
  readonly liveMax: number;
  readonly budgets: Budgets;
  readonly costPerToken: number;
}

/** A class whose objectives are missed in so many windows in a row sheds new work until a probe holds. */
export interface SloSettings {
  readonly windowMs: number;
  readonly windows: number;
  readonly openMs: number;
  readonly samplesMin: number;
  readonly classes: ClassObjectives;
}

export type ClassObjectives = Readonly<Partial<Record<Priority, Objectives>>>;

export interface Objectives {
  readonly firstTokenP95Ms?: number;
  readonly errorRate?: number;
}

/** Before the first configuration: no pools, and so nothing that could be admitted. */
export const noSettings: Settings = {
  pools: [],
  session: { ttlMs: 600_000, maxTurns: 8, liveMax: 100_000, budgets: {}, costPerToken: 0.000002 },
  tenantBudgets: {},
  placement: { strategy: "least-loaded", allowPin: true },
  stream: { disconnectGraceMs: 5000, cancelOnDisconnect: true },
  nodes: { enabled: false, timeoutMs: 30_000 },
  slo: { windowMs: 10_000, windows: 3, openMs: 10_000, samplesMin: 5, classes: {} },
  rememberMs: 86_400_000,
};
