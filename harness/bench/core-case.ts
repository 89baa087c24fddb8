// One case of the core's bench, as a process: fills the queue, then takes tasks through their life one after
// the other while the queue keeps its length. Measured is all that the core does for a life: the submission
// with every check of admission, the placement, the first token and the end, and the collection of what they
// leave behind. Not measured are the first lives, in which the code is still being compiled, and the making
// of submissions, batch by batch while the clock stands still: whoever parses requests makes them, not the
// core. Prints what it measured as JSON.

import {
  type AttemptEnded,
  type Effect,
  type FirstToken,
  noSettings,
  Orchestrator,
  type PoolSettings,
  type Settings,
  type TaskSubmitted,
} from "@llama-orch/core";
import type { CaseResult } from "./core.ts";

const [waiting = 10_000, lifecycles = 100_000] = process.argv.slice(2).map(Number);

const pool: PoolSettings = {
  id: "p",
  engine: "llamacpp",
  modelRef: "m",
  determinism: "strict",
  samplerProfile: "default",
  deviceMask: "0",
  maxTokensOut: 50_000,
  capacity: 2_000_000,
  fullPolicy: "reject",
  maxBodyBytes: 1e12,
  classes: { interactive: { weight: 8 }, batch: { weight: 1 } },
  tenants: {},
  edf: false,
  strictClasses: false,
  preemption: { mode: "disabled", maxPerMinute: 10, protect: ["interactive"] },
  timeouts: { idleMs: 5000 },
  breaker: { threshold: 5, openMs: 300_000, maxRestarts: 10, windowMs: 60_000 },
  extraBytes: 0,
};
const settings: Settings = {
  ...noSettings,
  pools: [pool],
  session: { ...noSettings.session, maxTurns: 1e9 },
};

/** Lives before those that are measured. */
const warmUp = 20_000;

/** Submissions that are made at a time. */
const batch = 1000;

let seq = 0;
let made = 0;
let nowMs = 1_700_000_000_000;

function submission(): TaskSubmitted {
  const n = made++;
  const taskId = `task-${n}`;
  return {
    seq: ++seq,
    nowMs,
    type: "TaskSubmitted",
    jobId: `job-${n}`,
    task: {
      taskId,
      sessionId: `session-${n % 1000}`,
      tenantId: `tenant-${n % 4}`,
      workload: "completion",
      modelRef: "m",
      engine: "llamacpp",
      ctx: 0,
      priority: n % 3 === 0 ? "batch" : "interactive",
      maxTokens: 10 + (n % 90),
      deadlineMs: 1_000_000_000,
      seed: n,
      kvHint: "reuse",
      override: false,
      sampling: {},
      placement: { mode: "auto", preferPools: [], avoidPools: [], allowFallback: true },
    },
    fingerprint: taskId,
    client: "client",
    promptBytes: 8 + (n % 200),
    bodyBytes: 300,
  };
}

function core(): CaseResult {
  const orchestrator = new Orchestrator(1);
  const running: string[] = [];
  const note = (effects: readonly Effect[]) => {
    for (const effect of effects) {
      if (effect.type === "DispatchAttempt") running.push(effect.jobId);
      if (effect.type === "RefuseTask") throw new Error(effect.message);
    }
  };
  orchestrator.handle({ seq: ++seq, nowMs, type: "Configured", settings });
  const facts = {
    nodeId: null,
    engineVersion: "b1",
    modelDigest: null,
    ctxMax: 4096,
    slotsTotal: 8,
    slotsElsewhere: 0,
    vramFreeBytes: 0,
    features: [],
    speed: {},
  };
  const up = { poolId: "p", replicaId: "r0", status: "ready", epoch: 1, facts } as const;
  orchestrator.handle({ seq: ++seq, nowMs, type: "ReplicaReported", ...up });
  const before = heap();
  for (let i = 0; i < waiting + facts.slotsTotal; i++) note(orchestrator.handle(submission()));
  const bytesPerTask = (heap() - before) / waiting;
  const perS = measured((event) => {
    note(orchestrator.handle(event));
    const jobId = running.shift() as string;
    orchestrator.handle(firstTokenOf(jobId));
    note(orchestrator.handle(endOf(jobId)));
  });
  return { perS, bytesPerTask, baselinePerS: 0 };
}

function firstTokenOf(jobId: string): FirstToken {
  return { seq: ++seq, nowMs, type: "FirstToken", jobId, attempt: 1, cachedTokens: 0 };
}

function endOf(jobId: string): AttemptEnded {
  return {
    seq: ++seq,
    nowMs,
    type: "AttemptEnded",
    jobId,
    attempt: 1,
    ending: { kind: "done" },
    continuable: true,
    frames: 10,
    tokensOut: 10,
    attemptTokens: 10,
    promptTokens: 10,
    prefillMs: 5,
    decodeMs: 50,
  };
}

/** Lives in a second. */
function measured(live: (event: TaskSubmitted) => void): number {
  take(warmUp, live);
  return (lifecycles / take(lifecycles, live)) * 1000;
}

/** How long so many lives take, with the clock stopped while submissions are made. */
function take(lives: number, live: (event: TaskSubmitted) => void): number {
  let tookMs = 0;
  for (let done = 0; done < lives; done += batch) {
    const events: TaskSubmitted[] = [];
    for (let i = 0; i < batch; i++) {
      nowMs++;
      events.push(submission());
    }
    const started = performance.now();
    for (const event of events) {
      nowMs = event.nowMs;
      live(event);
    }
    tookMs += performance.now() - started;
  }
  return tookMs;
}

/** The least that any orchestrator would do: remember, queue, take the oldest, count, forget. */
function baseline(): number {
  const tasks = new Map<string, TaskSubmitted>();
  const queue: TaskSubmitted[] = [];
  const counts = new Map<string, number>();
  let head = 0;
  const submit = (event: TaskSubmitted) => {
    tasks.set(event.jobId, event);
    queue.push(event);
  };
  for (let i = 0; i < waiting; i++) submit(submission());
  return measured((event) => {
    submit(event);
    const oldest = queue[head++] as TaskSubmitted;
    counts.set(oldest.task.tenantId, (counts.get(oldest.task.tenantId) ?? 0) + 1);
    tasks.delete(oldest.jobId);
  });
}

function heap(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

const result = core();
console.log(JSON.stringify({ ...result, baselinePerS: baseline() }));
