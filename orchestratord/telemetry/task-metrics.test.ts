import assert from "node:assert/strict";
import { test } from "node:test";
import { type DispatchAttempt, type FirstToken, Orchestrator } from "@llama-orch/core";
import { FakeClock } from "../fixtures/fake-clock.ts";
import { aRecord } from "../fixtures/records.ts";
import { configFor } from "../fixtures/running.ts";
import { Tasks } from "../tasks.ts";
import { MetricRegistry } from "./registry.ts";
import { TaskMetrics } from "./task-metrics.ts";

const decision = { pinned: false, fallback: false, candidatesTotal: 1 };

test("tenants that send nothing any more make room for those that do", async (t) => {
  const config = configFor(t, {});
  const clock = new FakeClock();
  const tasks = new Tasks(1000);
  const registry = new MetricRegistry("orchestratord");
  const metrics = new TaskMetrics({ config, registry, tasks, clock, core: new Orchestrator(1) });
  const dispatch = (tenantId: string) => {
    tasks.add(aRecord({ jobId: tenantId, taskId: tenantId, tenantId }));
    const effect = { type: "DispatchAttempt", jobId: tenantId, decision, waited: null, resume: null };
    metrics.handled({ type: "TimerFired" } as unknown as FirstToken, [effect as unknown as DispatchAttempt]);
  };
  for (let n = 0; n < 600; n++) dispatch(`gone-${n}`);
  clock.advance(config.telemetry.share_window_ms);
  dispatch("here");
  metrics.fill({} as Parameters<TaskMetrics["fill"]>[0]);
  const shares = [...(await registry.text()).matchAll(/^admission_share\{tenant="([^"]*)".*\} (.*)$/gm)];
  assert.deepEqual(
    shares.map(([, tenant, share]) => [tenant, share]),
    [["here", "1"]],
  );
  registry.close();
});
