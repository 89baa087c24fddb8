// Ten thousand tasks wait when the orchestrator is killed: how long its next life takes until it answers and
// has all of them, and that each of them then ends as it would have. One engine with one slot that says
// nothing holds them up until that is shown.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { PoolList } from "@llama-orch/contract";
import { startFakeInstallation } from "./fake-installation.ts";
import { handIn } from "./hand-in.ts";
import type { Installation } from "./installation.ts";
import { requestOf } from "./lives.ts";
import { processorMsOf } from "./processes.ts";
import { scrape, until, viewsOf } from "./stillness.ts";
import { askJson } from "./wire.ts";

export interface CrowdVerdict {
  readonly tasks: number;
  /** From the birth of each process until it answered with all tasks in its queues. */
  readonly restartsMs: readonly number[];
  /** What each had used of the processors by then: the machine's other work is not in it. */
  readonly processorMs: readonly number[];
  readonly violations: readonly string[];
  readonly seconds: number;
  readonly folder?: string;
}

const tasks = 10_000;
const kills = 3;
const submitters = 32;
const maxTokens = 2;
const backWithinMs = 30_000;
const doneWithinMs = 120_000;
const lookEveryMs = 20;
/** Nobody gives up on an engine that says nothing, for as long as all this takes. */
const patient = { timeouts: { idle_ms: 600_000, first_token_ms: 600_000 } };

export async function restartWithCrowd(): Promise<CrowdVerdict> {
  const startMs = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "llama-orch-chaos-crowd-"));
  const installation = await startFakeInstallation({
    folder,
    strict: 1,
    loose: 0,
    paced: false,
    pool: patient,
  });
  const found: Found = { restartsMs: [], processorMs: [], violations: [] };
  const { violations } = found;
  try {
    await crowded(installation, found);
  } catch (error) {
    violations.push(String((error as Error).stack));
  }
  await installation.stop();
  if (violations.length === 0) rmSync(folder, { recursive: true, force: true });
  const seconds = (performance.now() - startMs) / 1000;
  return { tasks, ...found, seconds, ...(violations.length > 0 && { folder }) };
}

interface Found {
  readonly restartsMs: number[];
  readonly processorMs: number[];
  readonly violations: string[];
}

async function crowded(installation: Installation, found: Found): Promise<void> {
  const { restartsMs, processorMs, violations } = found;
  const { url, daemon, engines } = installation;
  await engines[0]?.faults?.({ stall_after: 0 });
  await fill(installation);
  for (let n = 0; n < kills; n += 1) {
    await daemon.kill();
    await daemon.start();
    const untilMs = performance.now() + backWithinMs;
    let known = await heldBy(url);
    while (known < tasks && performance.now() < untilMs) {
      await delay(lookEveryMs);
      known = await heldBy(url);
    }
    restartsMs.push(performance.now() - daemon.life.spawnedAtMs);
    processorMs.push(processorMsOf(daemon.life.pid));
    if (known !== tasks) violations.push(`After restart ${n + 1} the pools hold ${known} tasks of ${tasks}.`);
  }
  const views = await viewsOf(url);
  const open = [...views.values()].filter(({ state }) => state === "waiting" || state === "running");
  if (open.length !== tasks)
    violations.push(`${open.length} of ${tasks} tasks are in the list and not over.`);
  await engines[0]?.faults?.();
  await daemon.kill();
  await daemon.start();
  const isEmpty = async () => (await heldBy(url)) === 0;
  if (!(await until(isEmpty, doneWithinMs))) violations.push(`Tasks are left after ${doneWithinMs} ms.`);
  const done = [...(await viewsOf(url)).values()].filter(({ state }) => state === "done").length;
  if (done !== tasks) violations.push(`${done} of ${tasks} tasks are done in the end.`);
  const out = (await scrape(url)).sum("tokens_out_total");
  if (out !== tasks * maxTokens) violations.push(`${out} tokens came out of ${tasks * maxTokens}.`);
}

async function fill({ url, model }: Installation): Promise<void> {
  const { signal } = new AbortController();
  let next = 0;
  const submit = async () => {
    for (let n = next++; n < tasks; n = next++) {
      const variant = { prompt: `Write haiku ${n}.`, seed: n, maxTokens };
      const admission = await handIn(
        { postedAtMs: [], task: {} },
        { ...requestOf(`crowd-${n}`, variant, model), deadline_ms: 3_600_000 },
        { url, signal },
      );
      if (admission === undefined) throw new Error(`Task ${n} of ${tasks} was refused.`);
    }
  };
  await Promise.all(Array.from({ length: submitters }, submit));
}

/** Tasks that wait or run. */
async function heldBy(url: string): Promise<number> {
  const { pools } = await askJson<PoolList>("GET", `${url}/v2/pools`);
  return pools.reduce(
    (sum, { health: { metrics } }) => sum + metrics.queue_depth + (metrics.active_leases ?? 0),
    0,
  );
}
