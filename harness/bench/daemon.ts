// The real orchestrator as a process, in front of fake engines that are processes too.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FakeFacts, type StartedFake, spawnFake } from "@llama-orch/engines/fake";
import { type Program, startProgram } from "./process.ts";

export interface Daemon {
  readonly program: Program;
  readonly url: string;
  readonly engines: readonly StartedFake[];
  stop(): Promise<void>;
}

export interface DaemonOptions {
  readonly engines: readonly Partial<FakeFacts>[];
  readonly determinism: "strict" | "best_effort";
  /** Tasks that may wait. */
  readonly capacity?: number;
  readonly slots?: number;
  /** Added to the configuration as it is. */
  readonly config?: object;
  readonly nodeFlags?: readonly string[];
}

const main = join(import.meta.dirname, "../../orchestratord/main.js");
const facts = {
  modelDigest: `sha256:${"a".repeat(64)}`,
  computeFingerprint: "fake",
  compute: "cpu",
} as const;

/** Every engine is a pool of its own, and all of them one replica set. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const folder = mkdtempSync(join(tmpdir(), "llama-orch-bench-"));
  const slots = options.slots ?? 1;
  const engines = await Promise.all(options.engines.map((each) => spawnFake({ ...facts, slots, ...each })));
  const pools = engines.map(({ url }, n) => ({
    id: `pool-${n}`,
    engine: "llamacpp",
    model: "fake",
    devices: [],
    allow_cpu: true,
    slots,
    determinism: options.determinism,
    queue: { capacity: options.capacity ?? 10_000 },
    provisioning: { mode: "external", base_url: url },
  }));
  const file = join(folder, "config.json");
  const common = { data_dir: join(folder, "data"), auth: { bind_addr: "127.0.0.1:0" }, shutdown_ms: 0 };
  writeFileSync(file, JSON.stringify({ ...common, pools, ...options.config }));
  const program = await startProgram({
    args: [...(options.nodeFlags ?? []), main, "--config", file],
    listening: /"human":"Listens on (\S+)\."/,
  });
  await serving(program.url, engines.length);
  return {
    program,
    url: program.url,
    engines,
    async stop() {
      await program.stop();
      await Promise.all(engines.map((engine) => engine.stop()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** All pools are ready; asked again and again, since nobody announces it to a bench. */
async function serving(url: string, pools: number): Promise<void> {
  const untilMs = performance.now() + 10_000;
  while (performance.now() < untilMs) {
    const answer = await fetch(`${url}/v2/pools`);
    const list = (await answer.json()) as { pools: { health: { ready: boolean } }[] };
    if (list.pools.filter(({ health }) => health.ready).length === pools) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`Not all ${pools} pools of ${url} became ready within 10 s.`);
}

/** A task of a session of its own, so that no limit of a session is met. */
export function taskBody(name: string, maxTokens: number, prompt = "Write a haiku about the moon."): string {
  return JSON.stringify({
    task_id: name,
    session_id: name,
    workload: "completion",
    model_ref: "fake",
    engine: "llamacpp",
    ctx: 0,
    priority: "interactive",
    max_tokens: maxTokens,
    deadline_ms: 3_600_000,
    seed: 7,
    prompt,
  });
}
