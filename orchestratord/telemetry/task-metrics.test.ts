import assert from "node:assert/strict";
import { test } from "node:test";
import { Priority } from "@llama-orch/contract";
import { type DispatchAttempt, type Event, Orchestrator, type ReplicaFacts } from "@llama-orch/core";
import { bindAdapter } from "@llama-orch/engines/adapter";
import { FakeClock } from "../fixtures/fake-clock.ts";
import { aRecord } from "../fixtures/records.ts";
import { configFor, model, type Scope } from "../fixtures/running.ts";
import type { Happening } from "../loop.ts";
import { Directory } from "../replicas/directory.ts";
import { settingsOf } from "../settings.ts";
import { Tasks } from "../tasks.ts";
import { views } from "../views.ts";
import { MetricRegistry } from "./registry.ts";
import { TaskMetrics } from "./task-metrics.ts";

const tenants = [
  { id: "a", weight: 3 },
  { id: "b", weight: 1 },
];
const classWeights: Readonly<Record<Priority, number>> = { interactive: 8, batch: 1 };
const flows = tenants.flatMap(({ id, weight }) =>
  Priority.enum.map((priority) => ({ tenant: id, priority, weight: weight * classWeights[priority] })),
);
const weights = flows.reduce((sum, { weight }) => sum + weight, 0);

/** Deterministic, and as uneven as prompts are. */
function costs(): () => number {
  let state = 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return 10 + (state % 290);
  };
}

const facts: ReplicaFacts = {
  nodeId: null,
  engineVersion: "fake-1",
  modelDigest: `sha256:${"0".repeat(64)}`,
  ctxMax: 4096,
  slotsTotal: 1,
  slotsElsewhere: 0,
  vramFreeBytes: 0,
  features: ["completion"],
  computeFingerprint: "fake",
  speed: {},
};

/** One replica with one slot whose every flow always has tasks waiting, and the metrics of that. */
class Saturated {
  readonly clock = new FakeClock();
  readonly #core = new Orchestrator(1);
  readonly #tasks = new Tasks(1000);
  readonly #registry = new MetricRegistry("orchestratord");
  readonly #metrics: TaskMetrics;
  readonly #scrape: () => Promise<string>;
  readonly #maxTokens = costs();
  #running: DispatchAttempt | undefined;
  #serial = 0;

  constructor(scope: Scope) {
    const { clock } = this;
    const [core, tasks, registry] = [this.#core, this.#tasks, this.#registry];
    const pool = {
      id: "pool-0",
      engine: "llamacpp",
      model,
      devices: [],
      allow_cpu: true,
      admission: { fairness: { tenants } },
      provisioning: { mode: "external", base_url: "http://127.0.0.1:1" },
    };
    const config = configFor(scope, { pools: [pool], session: { max_turns: 1_000_000 } });
    this.#metrics = new TaskMetrics({ config, registry, tasks, clock, core });
    const directory = new Directory({
      bind: (address) => bindAdapter(address, { seed: 1 }),
      post: () => {},
      clock,
      pollMs: 1000,
      expected: () => ({ ctxMax: 4096, slotsTotal: 1 }),
    });
    const shown = views({ config, core, directory, levels: this.#metrics, nowMs: () => clock.nowMs() });
    this.#scrape = () => {
      this.#metrics.fill(shown);
      return registry.text();
    };
    scope.after(async () => registry.close());
    this.#say({ type: "Configured", settings: settingsOf(config) });
    const ready = { status: "ready", epoch: 1, facts } as const;
    this.#say({ type: "ReplicaReported", poolId: "pool-0", replicaId: "r0", ...ready });
    for (const flow of flows) for (let n = 0; n < 10; n++) this.#submit(flow);
  }

  /** The running task has taken its time; another one of its flow joins the queue. */
  step(): void {
    const running = this.#running;
    assert.ok(running, "the slot is never idle");
    const record = this.#tasks.job(running.jobId);
    assert.ok(record);
    const { tenantId: tenant, priority, maxTokens } = record.task;
    this.clock.advance(maxTokens);
    this.#submit({ tenant, priority });
    this.#say({
      type: "AttemptEnded",
      jobId: running.jobId,
      attempt: running.attempt,
      ending: { kind: "done" },
      frames: maxTokens,
      continuable: true,
      tokensOut: maxTokens,
      attemptTokens: maxTokens,
      promptTokens: 10,
      prefillMs: 10,
      decodeMs: maxTokens,
    });
  }

  async shares(): Promise<Map<string, number>> {
    const series = (await this.#scrape()).matchAll(
      /^admission_share\{tenant="([^"]*)",priority="([^"]*)"\} (\S+)$/gm,
    );
    return new Map(
      [...series].map(([, tenant, priority, share]) => [`${tenant} ${priority}`, Number(share)]),
    );
  }

  #submit({ tenant: tenantId, priority }: { tenant: string; priority: Priority }): void {
    const jobId = `job-${++this.#serial}`;
    const record = aRecord({ jobId, taskId: jobId, tenantId, submittedAtMs: this.clock.nowMs() });
    // Tasks of one tenant are larger, so that to count tasks is not to count cost.
    const maxTokens = this.#maxTokens() * (tenantId === "b" ? 4 : 1);
    const task = { ...record.task, priority, maxTokens, deadlineMs: 86_400_000 };
    this.#tasks.add({ ...record, task });
    const asked = { fingerprint: jobId, client: "client", promptBytes: 8, bodyBytes: 8 };
    this.#say({ type: "TaskSubmitted", jobId, task, ...asked });
  }

  #say(happening: Happening): void {
    const event = { seq: ++this.#serial, nowMs: this.clock.nowMs(), ...happening } as Event;
    const effects = this.#core.handle(event);
    this.#metrics.handled(event, effects);
    for (const effect of effects) {
      assert.notEqual(effect.type, "RefuseTask", JSON.stringify(effect));
      if (effect.type === "DispatchAttempt") this.#running = effect;
    }
  }
}

test(
  "while every tenant and class has work waiting, its faded share of dispatched cost is its weight's, within ten points " +
    "[ORCH-3076]",
  async (t) => {
    const saturated = new Saturated(t);
    let farthest = 0;
    let scrapes = 0;
    while (saturated.clock.nowMs() < 600_000) {
      for (let steps = 0; steps < 20; steps++) saturated.step();
      // Before a whole window nobody can tell a share.
      if (saturated.clock.nowMs() < 60_000) continue;
      scrapes++;
      const shares = await saturated.shares();
      assert.equal(shares.size, flows.length);
      for (const { tenant, priority, weight } of flows) {
        const share = shares.get(`${tenant} ${priority}`) ?? 0;
        farthest = Math.max(farthest, Math.abs(share - weight / weights));
      }
    }
    t.diagnostic(`${(farthest * 100).toFixed(1)} points at most, in ${scrapes} scrapes`);
    assert.ok(scrapes > 100);
    assert.ok(farthest < 0.1, String(farthest));
  },
);
