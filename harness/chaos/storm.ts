// Does what a plan says to engines, pools, the daemon and its disk, each thing at its instant, and leaves
// everything healed. It counts what it really did: where there was no process, nothing was killed.

import { setTimeout as delay } from "node:timers/promises";
import { count, type Tally } from "../sim/tally.ts";
import { fillDisk } from "./full-disk.ts";
import type { EngineUnderTest, Installation } from "./installation.ts";
import type { Life, Stage } from "./life.ts";
import type { Instant } from "./lives.ts";
import type { Violation } from "./outcomes.ts";
import type { Plan } from "./plan.ts";
import type { DaemonFault, DiskFault, PlannedFault } from "./plan-faults.ts";
import { askUntilAnswered } from "./wire.ts";

const backWithinMs = 20_000;

export interface Stormed {
  readonly done: Tally;
  /** Of those who handed in tasks to see whether the disk is full. */
  readonly lives: readonly Life[];
  readonly violations: readonly Violation[];
}

interface Ground {
  readonly installation: Installation;
  readonly plan: Plan;
  readonly stage: Stage;
  readonly done: Tally;
  readonly lives: Life[];
  readonly violations: Violation[];
}

export async function storm(
  installation: Installation,
  plan: Plan,
  stage: Stage,
  until: Instant,
): Promise<Stormed> {
  const ground: Ground = { installation, plan, stage, done: {}, lives: [], violations: [] };
  const operator = plan.faults.filter(({ kind }) => kind === "drain" || kind === "reload");
  const perEngine = installation.engines.map((_, n) =>
    plan.faults.filter((fault) => fault.engine === n && !operator.includes(fault)),
  );
  const line = async <F extends { readonly kind: string; readonly atMs: number }>(
    faults: readonly F[],
    perform: (fault: F) => Promise<boolean>,
  ) => {
    for (const fault of faults) {
      await until(fault.atMs);
      if (await perform(fault)) count(ground.done, fault.kind);
    }
  };
  await Promise.all([
    ...[operator, ...perEngine].map((faults) => line(faults, (fault) => disturb(ground, fault))),
    line(plan.daemon, (fault) => disturbDaemon(ground, fault)),
    line(plan.disk, (fault) => disturbDisk(ground, fault)),
  ]);
  return ground;
}

async function disturb({ installation, stage }: Ground, fault: PlannedFault): Promise<boolean> {
  const { url, model } = installation;
  const engine = installation.engines[fault.engine] as EngineUnderTest;
  switch (fault.kind) {
    case "kill":
      return engine.kill(fault.downMs);
    case "stop": {
      const stopped = engine.signal("SIGSTOP");
      await delay(fault.forMs);
      engine.signal("SIGCONT");
      return stopped;
    }
    case "sick":
      await engine.faults?.(fault.faults);
      await delay(fault.forMs);
      await engine.faults?.();
      return engine.faults !== undefined;
    case "drain":
      await say(`${url}/v1/pools/${engine.poolId}/drain`, { deadline_ms: fault.deadlineMs }, [202], stage);
      // Engines with a supervisor come back by being asked for the model they have, while they live.
      for (const untilMs = performance.now() + backWithinMs; engine.faults === undefined; ) {
        if ((await reload(stage, engine, model, fault.deadlineMs)) === 200 || performance.now() > untilMs)
          break;
      }
      return true;
    case "reload":
      await reload(stage, engine, engine.faults === undefined ? model : "another", fault.deadlineMs);
      return true;
    default:
      fault satisfies never;
      return false;
  }
}

async function disturbDaemon(
  { installation: { daemon }, done, violations }: Ground,
  fault: DaemonFault,
): Promise<boolean> {
  switch (fault.kind) {
    case "daemon-stop": {
      const stopped = daemon.signal("SIGSTOP");
      await delay(fault.forMs);
      daemon.signal("SIGCONT");
      return stopped;
    }
    case "daemon-kill":
    case "daemon-leave": {
      const amiss = fault.kind === "daemon-kill" ? await daemon.kill() : await daemon.leave();
      if (amiss !== undefined) violations.push({ verdict: "wrong", message: amiss });
      await delay(fault.downMs);
      if (fault.shiftMs !== 0) count(done, "clock jump");
      await daemon.start(fault.shiftMs);
      return true;
    }
    default:
      fault satisfies never;
      return false;
  }
}

async function disturbDisk(ground: Ground, fault: DiskFault): Promise<boolean> {
  const { daemon, disk } = ground.installation;
  if (fault.kind === "slow-disk") {
    daemon.slowCommits(fault.commitMs);
    await delay(fault.forMs);
    daemon.slowCommits(0);
    return true;
  }
  if (disk === undefined) return false;
  const { lives, violations } = await fillDisk(disk, ground.plan, ground.stage, fault.forMs);
  ground.lives.push(...lives);
  ground.violations.push(...violations);
  return true;
}

/** 200: it serves the model; 409: it does not, and serves what it did before or is still away. */
async function reload(
  stage: Stage,
  { poolId }: EngineUnderTest,
  model: string,
  deadlineMs: number,
): Promise<number> {
  const body = { new_model_ref: model, drain_deadline_ms: deadlineMs };
  return say(`${stage.url}/v1/pools/${poolId}/reload`, body, [200, 409], stage);
}

/** Said again to the next life of a daemon that is killed before it answers. */
async function say(
  url: string,
  body: object,
  accepted: readonly number[],
  { signal }: Stage,
): Promise<number> {
  const { status, body: answer } = await askUntilAnswered("POST", url, body, signal);
  if (!accepted.includes(status)) throw new Error(`${url} answered ${status}: ${answer}`);
  return status;
}
