// How a seed draws its mix of features and of fault rates, many of them zero: worlds that each do a few
// things much find more than worlds that all do a little of everything.

import { noSettings, type PoolSettings, type Settings } from "@llama-orch/core";
import {
  type Acts,
  basePool,
  baseReplica,
  digests,
  type Faults,
  type Load,
  type Mix,
  noActs,
  noFaults,
  type ReplicaPlan,
} from "./mix.ts";
import { Random } from "./random.ts";

/** What the seed draws. */
export function drawMix(seed: number): Mix {
  const random = new Random(seed, "mix");
  const calm = random.chance(0.2);
  const nodes = random.chance(0.6) ? ["node-a", "node-bb", "node-c"].slice(0, random.integer(1, 3)) : [];
  const pools = drawPools(random, calm);
  const replicas = pools.flatMap((pool) => drawReplicas(random, pool, nodes));
  const slots = replicas.reduce((sum, { slots: own, slotsElsewhere }) => sum + own - slotsElsewhere, 0);
  const load = drawLoad(random, slots, calm);
  return {
    seed,
    nodes,
    link: {
      delayMs: random.pick([0, 1, 5, 30]),
      jitterMs: random.pick([0, 2, 40]),
      loss: calm ? 0 : random.pick([0, 0, 0.02, 0.2]),
    },
    heartbeatMs: random.pick([500, 1000, 2000]),
    replicas,
    settings: drawSettings(random, pools, nodes.length > 0, calm),
    load,
    faults: calm ? noFaults : drawFaults(random),
    acts: calm ? noActs : drawActs(random),
    spread: random.pick([0, 0.2, 0.6]),
    calm,
  };
}

function drawPools(random: Random, calm: boolean): PoolSettings[] {
  const count = random.integer(1, 4);
  const determinism = random.pick(["strict", "best_effort", "mixed"] as const);
  const policy = random.pick(["reject", "drop-lru", "shed-low-priority"] as const);
  const capacity = random.pick([1, 5, 20, 200]);
  const edf = random.chance(0.25);
  const strictClasses = random.chance(0.2);
  const classes = {
    interactive: { weight: random.pick([8, 2, 1]), ...(random.chance(0.1) && { queueCapacity: 4 }) },
    batch: { weight: 1, ...(random.chance(0.2) && { queueCapacity: random.integer(1, 10) }) },
  };
  const tenants = random.chance(0.5) ? { blue: { weight: random.integer(2, 4) } } : {};
  const quotas = random.chance(0.3) ? { red: { weight: 1, maxConcurrent: 6, rps: 5 } } : {};
  const mode = random.pick(["disabled", "disabled", "soft", "hard"] as const);
  const limited = random.chance(0.3);
  const rate = !calm && random.chance(0.3) ? { rateLimitRps: random.integer(1, 10) } : {};
  return Array.from({ length: count }, (_, i) =>
    basePool({
      id: `p${i}`,
      engine: i === 3 && random.chance(0.5) ? "vllm" : "llamacpp",
      modelRef: i > 0 && random.chance(0.25) ? "m2" : "m",
      determinism: determinism === "mixed" ? random.pick(["strict", "best_effort"]) : determinism,
      deviceMask: String(i % 2),
      capacity,
      fullPolicy: policy,
      ...(limited && { maxQueuedTokens: 400, maxBodyBytes: 4000 }),
      classes: {
        interactive: { ...classes.interactive, ...rate },
        batch: { ...classes.batch, ...rate },
      },
      tenants: { ...tenants, ...quotas },
      edf,
      strictClasses,
      preemption: {
        mode: calm && mode === "hard" ? "disabled" : mode,
        maxPerMinute: random.pick([2, 10, 100]),
        protect: ["interactive"],
      },
      timeouts: {
        idleMs: random.pick([1000, 3000]),
        ...(random.chance(0.7) && { firstTokenMs: 3000 }),
        ...(!calm && random.chance(0.15) && { wallMs: random.integer(300, 3000) }),
      },
      breaker: {
        threshold: random.pick([2, 5, 20]),
        openMs: random.pick([1000, 5000]),
        maxRestarts: random.pick([2, 10]),
        windowMs: 20_000,
      },
      ...(i === 0 && !calm && random.chance(0.2) && { canary: { modelRef: "m2", percent: 30 } }),
    }),
  );
}

function drawReplicas(random: Random, pool: PoolSettings, nodes: readonly string[]): ReplicaPlan[] {
  const slots = random.pick([1, 1, 2, 4]);
  const tokensPerS = random.pick([20, 50, 150]);
  const ctxMax = random.pick([4096, 4096, 2048]);
  const noise = random.pick([0.05, 0.3]);
  return Array.from({ length: random.integer(1, 3) }, (_, i) => {
    return baseReplica({
      poolId: pool.id,
      replicaId: `r${i}`,
      nodeId: nodes.length === 0 ? null : random.pick(nodes),
      slots,
      slotsElsewhere: slots > 1 && random.chance(0.2) ? 1 : 0,
      ctxMax,
      strict: pool.determinism === "strict",
      modelDigest: digests[pool.modelRef] as string,
      fingerprint: random.chance(0.2) ? "f1" : "f0",
      vramFreeBytes: random.pick([8e9, 8e9, 4e9]),
      reportsMemory: random.chance(0.3),
      features: random.chance(0.8) ? ["interruptible_decode"] : [],
      speed: {
        prefillMsPerToken: random.pick([0.1, 1]),
        firstTokenMs: random.pick([10, 100]),
        tokensPerS,
        noise,
      },
      declared: random.chance(0.7) ? { tokensPerS, firstTokenMs: 60 } : {},
      loadMs: random.pick([200, 1500, 5000]),
    });
  });
}

function drawLoad(random: Random, slots: number, calm: boolean): Load {
  const some = (share: number, most: number): number => (random.chance(share) ? random.between(0, most) : 0);
  const pressure = random.pick([0.4, 0.9, 1.3, 3]);
  return {
    tasks: random.integer(100, 220),
    perS: Math.min(60, Math.max(1, pressure * slots * 1.5)),
    burst: random.pick([1, 1, 5, 25]),
    tenants: random.pick([["default"], ["default", "blue"], ["default", "blue", "red"]]),
    sessions: random.pick([4, 30, 300]),
    batchShare: random.pick([0, 0.3, 0.7]),
    maxTokens: random.pick([
      [5, 20],
      [5, 60],
      [1, 5],
    ]),
    deadlineMs: random.pick([
      [600_000, 600_000],
      [60_000, 120_000],
      [500, 20_000],
    ]),
    expectsShare: some(0.4, 0.6),
    wishShare: calm ? 0 : some(0.4, 0.5),
    cancelShare: some(0.5, 0.3),
    readerShare: random.pick([0, 0.5, 1]),
    leaveShare: calm ? 0 : some(0.5, 0.4),
    repeatShare: some(0.5, 0.3),
    memoryShare: calm ? 0 : some(0.3, 0.5),
    hugeShare: calm ? 0 : some(0.3, 0.05),
    strictShare: some(0.2, 0.5),
  };
}

function drawSettings(
  random: Random,
  pools: readonly PoolSettings[],
  withNodes: boolean,
  calm: boolean,
): Settings {
  const budgets = random.chance(0.25) ? { tokens: random.integer(60, 600) } : {};
  const timed = random.chance(0.1) ? { timeMs: random.integer(1_000_000, 4_000_000) } : {};
  return {
    ...noSettings,
    pools,
    session: {
      ttlMs: random.pick([5000, 60_000]),
      maxTurns: random.pick([4, 1000]),
      liveMax: random.pick([10, 100_000]),
      budgets: { ...budgets, ...timed },
      costPerToken: 0.000002,
    },
    tenantBudgets: random.chance(0.2) ? { blue: { tokens: random.integer(300, 3000), cost: 0.01 } } : {},
    placement: {
      strategy: random.pick(["least-loaded", "round-robin", "random"]),
      allowPin: random.chance(0.9),
    },
    stream: { disconnectGraceMs: random.pick([0, 500, 5000]), cancelOnDisconnect: random.chance(0.8) },
    nodes: { enabled: withNodes, timeoutMs: random.pick([2500, 5000]) },
    slo:
      !calm && random.chance(0.2)
        ? {
            windowMs: 2000,
            windows: 2,
            openMs: 3000,
            samplesMin: 3,
            classes: { interactive: { firstTokenP95Ms: random.pick([50, 500]), errorRate: 0.3 } },
          }
        : noSettings.slo,
    rememberMs: random.pick([1000, 86_400_000]),
  };
}

function drawFaults(random: Random): Faults {
  const every = (share: number, least: number, most: number): number =>
    random.chance(share) ? random.between(least, most) : Infinity;
  const some = (share: number, most: number): number => (random.chance(share) ? random.between(0, most) : 0);
  return {
    crashMs: every(0.5, 2000, 30_000),
    hangMs: every(0.4, 5000, 30_000),
    hostOomMs: every(0.2, 5000, 30_000),
    driverResetMs: every(0.2, 5000, 30_000),
    newVersionMs: every(0.3, 4000, 40_000),
    partitionMs: every(0.4, 5000, 30_000),
    powerMs: every(0.2, 10_000, 40_000),
    deregisterMs: every(0.15, 10_000, 40_000),
    removeMs: every(0.2, 5000, 40_000),
    restartMs: every(0.35, 5000, 30_000),
    ailments: {
      reset: some(0.5, 0.2),
      busy: some(0.3, 0.1),
      refused: some(0.2, 0.05),
      vramOom: some(0.3, 0.1),
      flipped: some(0.1, 0.1),
    },
  };
}

function drawActs(random: Random): Acts {
  const every = (share: number, least: number, most: number): number =>
    random.chance(share) ? random.between(least, most) : Infinity;
  return {
    drainMs: every(0.35, 4000, 30_000),
    reloadMs: every(0.35, 4000, 30_000),
    configMs: every(0.35, 4000, 30_000),
    modelMs: every(0.2, 5000, 30_000),
    storageMs: every(0.15, 5000, 30_000),
    forgetMs: every(0.2, 2000, 10_000),
  };
}
