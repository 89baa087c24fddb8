// orchestratord in front of fake engines, each a process: some of them one strict set, the others a
// best-effort one. All say the same text, since they have the same facts.

import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { PoolList } from "@llama-orch/contract";
import { type FakeFacts, type FakeFaults, type StartedFake, spawnFake } from "@llama-orch/engines/fake";
import { makeSmallDisk, type SmallDisk } from "@llama-orch/orchestratord/fixtures/small-disk";
import { DaemonProcess } from "./daemon-process.ts";
import { common, type EngineUnderTest, hardened, type Installation } from "./installation.ts";
import { lastingPort } from "./ports.ts";
import { askJson } from "./wire.ts";

/** A daemon keeps 64 MiB in reserve on it, and its journal leaves as much to others. */
const diskMegabytes = 256;

export interface FakeInstallationOptions {
  /** Ours; whoever made it removes it. */
  readonly folder: string;
  readonly strict: number;
  readonly loose: number;
  /** Whether engines take their time, so that there is something to interrupt. */
  readonly paced: boolean;
  /** Whether the daemon gets a disk of its own that can be filled, where such a one can be made. */
  readonly smallDisk?: boolean;
  /** Added to every pool as it is. */
  readonly pool?: object;
}

/** Answers take a tenth of a second on the only slot of a strict one, and a third on each of a loose one. */
const kinds = {
  strict: { determinism: "strict", slots: 1, tokensPerSecond: 800 },
  loose: { determinism: "best_effort", slots: 8, tokensPerSecond: 200 },
} as const;
type FakeKind = keyof typeof kinds;

/** Small enough for a small disk, large enough for all that a round decides. */
const smallJournal = { journal: { max_bytes: 64 << 20 } };

const program = join(import.meta.dirname, "orchestrator.ts");

const facts: Partial<FakeFacts> = {
  modelDigest: `sha256:${"a".repeat(64)}`,
  computeFingerprint: "fake",
  compute: "cpu",
};

export async function startFakeInstallation(options: FakeInstallationOptions): Promise<Installation> {
  const { folder, strict, loose, paced, pool } = options;
  const wanted = [...namesOf("strict", strict), ...namesOf("loose", loose)];
  const made = options.smallDisk ? await makeSmallDisk(folder, diskMegabytes) : undefined;
  const disk = typeof made === "object" ? made : undefined;
  const engines = await Promise.all(wanted.map(({ kind, poolId }) => FakeProcess.start(poolId, kind, paced)));
  const end = async () => {
    await Promise.all(engines.map((engine) => engine.end()));
    await disk?.end();
  };
  try {
    const url = `http://127.0.0.1:${await lastingPort()}`;
    const file = join(folder, "config.json");
    const pools = engines.map((engine) => ({ ...poolOf(engine), ...pool }));
    const auth = { bind_addr: new URL(url).host };
    const own = { auth, data_dir: join(disk?.path ?? folder, "data"), pools };
    writeFileSync(file, JSON.stringify({ ...common, ...(disk !== undefined && smallJournal), ...own }));
    const outFile = join(folder, "daemon.log");
    const prefix = disk?.prefix ?? [];
    const daemon = new DaemonProcess({ url, args: [program, file], outFile, prefix, hasChannel: true });
    await daemon.start();
    await serving(url, engines.length);
    return {
      url,
      daemon,
      model: "fake",
      logFile: outFile,
      dataDir: join(disk?.outside ?? folder, "data"),
      engines,
      ...(disk !== undefined && { disk: underTest(disk) }),
      ...(typeof made === "string" && { withoutDisk: made }),
      pids: () => engines.flatMap((engine) => engine.pids),
      async stop() {
        await daemon.leave();
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

const underTest = (disk: SmallDisk) => ({
  fill: () => disk.fill(),
  empty: () => disk.empty(),
  /** What was on it, for a person to look into. */
  save(folder: string): void {
    disk.empty();
    cpSync(disk.outside, folder, { recursive: true });
  },
});

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
  readonly isStrict: boolean;
  readonly url: string;
  readonly pids: number[] = [];
  readonly #facts: Partial<FakeFacts>;
  #running: StartedFake | undefined;

  private constructor(poolId: string, kind: FakeKind, facts: Partial<FakeFacts>, running: StartedFake) {
    this.poolId = poolId;
    this.kind = kind;
    this.isStrict = kinds[kind].determinism === "strict";
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
