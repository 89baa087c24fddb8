// Does what a plan says to engines and pools, each thing at its instant, and leaves everything healed. It
// counts what it really did: where there was no process, nothing was killed.

import { setTimeout as delay } from "node:timers/promises";
import { count, type Tally } from "../sim/tally.ts";
import type { EngineUnderTest, Installation } from "./installation.ts";
import type { Instant } from "./lives.ts";
import type { PlannedFault } from "./plan.ts";
import { ask } from "./wire.ts";

const backWithinMs = 20_000;

export async function storm(
  installation: Installation,
  faults: readonly PlannedFault[],
  until: Instant,
): Promise<Tally> {
  const done: Tally = {};
  const operator = faults.filter(({ kind }) => kind === "drain" || kind === "reload");
  const perEngine = installation.engines.map((_, n) =>
    faults.filter((fault) => fault.engine === n && !operator.includes(fault)),
  );
  await Promise.all(
    [operator, ...perEngine].map(async (line) => {
      for (const fault of line) {
        await until(fault.atMs);
        const engine = installation.engines[fault.engine] as EngineUnderTest;
        if (await perform(installation, engine, fault)) count(done, fault.kind);
      }
    }),
  );
  return done;
}

async function perform(
  { url, model }: Installation,
  engine: EngineUnderTest,
  fault: PlannedFault,
): Promise<boolean> {
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
      await say(`${url}/v1/pools/${engine.poolId}/drain`, { deadline_ms: fault.deadlineMs }, [202]);
      // Engines with a supervisor come back by being asked for the model they have, while they live.
      for (const untilMs = performance.now() + backWithinMs; engine.faults === undefined; ) {
        if ((await reload(url, engine, model, fault.deadlineMs)) === 200 || performance.now() > untilMs)
          break;
      }
      return true;
    case "reload":
      await reload(url, engine, engine.faults === undefined ? model : "another", fault.deadlineMs);
      return true;
    default:
      fault satisfies never;
      return false;
  }
}

/** 200: it serves the model; 409: it does not, and serves what it did before or is still away. */
async function reload(
  url: string,
  { poolId }: EngineUnderTest,
  model: string,
  deadlineMs: number,
): Promise<number> {
  const body = { new_model_ref: model, drain_deadline_ms: deadlineMs };
  return say(`${url}/v1/pools/${poolId}/reload`, body, [200, 409]);
}

async function say(url: string, body: object, accepted: readonly number[]): Promise<number> {
  const { status, body: answer } = await ask("POST", url, body);
  if (!accepted.includes(status)) throw new Error(`${url} answered ${status}: ${answer}`);
  return status;
}
