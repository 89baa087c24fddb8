// orchestratord in front of fake engines, each a process: some of them one strict set, the others a
// best-effort one. All say the same text, since they have the same facts.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { PoolList } from "@llama-orch/contract";
import { type FakeFacts, type FakeFaults, type StartedFake, spawnFake } from "@llama-orch/engines/fake";
import { common, type EngineUnderTest, hardened, type Installation } from "./installation.ts";
import { startLogged } from "./program.ts";
import { askJson } from "./wire.ts";

export interface FakeInstallationOptions {
  /** Ours; whoever made it removes it. */
  readonly folder: string;
  readonly strict: number;
  readonly loose: number;
  /** Whether engines take their time, so that there is something to interrupt. */
  readonly paced: boolean;
}

/** Answers take a tenth of a second on the only slot of a strict one, and a third on each of a loose one. */
const kinds = {
  strict: { determinism: "strict", slots: 1, tokensPerSecond: 800 },
  loose: { determinism: "best_effort", slots: 8, tokensPerSecond: 200 },
} as const;
type FakeKind = keyof typeof kinds;

const main = join(import.meta.dirname, "../../orchestratord/main.ts");

const facts: Partial<FakeFacts> = {
  modelDigest: `sha256:${"a".repeat(64)}`,
  computeFingerprint: "fake",
  compute: "cpu",
};

export async function startFakeInstallation(options: FakeInstallationOptions): Promise<Installation> {
  const { folder, strict, loose, paced } = options;
  const wanted = [...namesOf("strict", strict), ...namesOf("loose", loose)];
  const engines = await Promise.all(wanted.map(({ kind, poolId }) => FakeProcess.start(poolId, kind, paced)));
  const end = async () => void (await Promise.all(engines.map((engine) => engine.end())));
  try {
    const file = join(folder, "config.json");
    const pools = engines.map(poolOf);
    writeFileSync(file, JSON.stringify({ ...common, data_dir: join(folder, "data"), pools }));
    const logFile = join(folder, "daemon.log");
    const args = [main, "--config", file];
    const { pid, said, stop } = await startLogged(args, logFile, /"human":"Listens on (\S+)\."/);
    await serving(said, engines.length);
    return {
      url: said,
      pid,
      model: "fake",
      logFile,
      engines,
      pids: () => engines.flatMap((engine) => engine.pids),
      async stop() {
        await stop();
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

function namesOf(kind: FakeKind, count: number): { kind: FakeKind; poolId: string }[] {
  return Array.from({ length: count }, (_, n) => ({ kind, poolId: `${kind}-${n}` }));
}

function poolOf({ poolId, kind, url }: FakeProcess): object {
  const { slots, determinism } = kinds[kind];
  const provisioning = { mode: "external", base_url: url };
  return { ...hardened, id: poolId, model: "fake", slots, determinism, provisioning };
}

async function serving(url: string, pools: number): Promise<void> {
  const untilMs = performance.now() + 15_000;
  while (performance.now() < untilMs) {
    const list = await askJson<PoolList>("GET", `${url}/v2/pools`);
    if (list.pools.filter(({ health }) => health.ready).length === pools) return;
    await delay(20);
  }
  throw new Error(`Not all ${pools} pools of ${url} became ready within 15 s.`);
}

/** Started again where it was, since nobody tells the daemon another address. */
class FakeProcess implements EngineUnderTest {
  readonly poolId: string;
  readonly kind: FakeKind;
  readonly url: string;
  readonly pids: number[] = [];
  readonly #facts: Partial<FakeFacts>;
  #running: StartedFake | undefined;

  private constructor(poolId: string, kind: FakeKind, facts: Partial<FakeFacts>, running: StartedFake) {
    this.poolId = poolId;
    this.kind = kind;
    this.url = running.url;
    this.#facts = facts;
    this.#take(running);
  }

  static async start(poolId: string, kind: FakeKind, paced: boolean): Promise<FakeProcess> {
    const { slots, tokensPerSecond } = kinds[kind];
    const own = { ...facts, slots, ...(paced && { tokensPerSecond }) };
    return new FakeProcess(poolId, kind, own, await spawnFake(own));
  }

  async kill(downMs: number): Promise<boolean> {
    const running = this.#running;
    if (running === undefined) return false;
    this.#running = undefined;
    await running.stop();
    await delay(downMs);
    this.#take(await this.#again());
    return true;
  }

  signal(name: "SIGSTOP" | "SIGCONT"): boolean {
    const pid = this.#running?.pid;
    return pid !== undefined && process.kill(pid, name);
  }

  async faults(faults?: FakeFaults): Promise<void> {
    await this.#running?.faults(faults);
  }

  async busySlots(): Promise<number> {
    const all = await askJson<{ is_processing: boolean }[]>("GET", `${this.url}/slots`);
    return all.filter((slot) => slot.is_processing).length;
  }

  async end(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.stop();
  }

  #take(running: StartedFake): void {
    this.#running = running;
    if (running.pid !== undefined) this.pids.push(running.pid);
  }

  /** Its port may be somebody's for a moment. */
  async #again(): Promise<StartedFake> {
    const port = Number(new URL(this.url).port);
    for (let tries = 1; ; tries += 1) {
      try {
        return await spawnFake(this.#facts, port);
      } catch (error) {
        if (tries === 20) throw error;
        await delay(100);
      }
    }
  }
}
