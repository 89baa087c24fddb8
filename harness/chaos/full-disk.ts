// A full disk and its end, from the side of those who hand in tasks: while it is full somebody is told so,
// and afterwards everybody is taken in again. Tasks that got in meanwhile are tasks like all others.

import { setTimeout as delay } from "node:timers/promises";
import type { AdmissionResponse } from "@llama-orch/contract";
import type { DiskUnderTest } from "./installation.ts";
import { type Life, newLife, type Stage } from "./life.ts";
import { requestFor } from "./lives.ts";
import type { Violation } from "./outcomes.ts";
import type { Plan, PlannedTask, Variant } from "./plan.ts";
import { askUntilAnswered } from "./wire.ts";

/** A daemon that is killed and started meanwhile included. */
const toldWithinMs = 10_000;
const pauseMs = 5;

interface Full {
  /** Of those who were taken in. */
  readonly lives: readonly Life[];
  readonly violations: readonly Violation[];
}

export async function fillDisk(disk: DiskUnderTest, plan: Plan, stage: Stage, forMs: number): Promise<Full> {
  const lives: Life[] = [];
  const fullAtMs = performance.now();
  disk.fill();
  const wasTold = await until((status, body) => status === 503 && isStorage(body), "full");
  await delay(Math.max(0, fullAtMs + forMs - performance.now()));
  disk.empty();
  const isTaken = await until((status) => status === 202, "room");
  const violations = [
    ...(wasTold ? [] : [wrong(`nobody was refused within ${toldWithinMs} ms of a full disk`)]),
    ...(isTaken ? [] : [wrong(`nothing was admitted within ${toldWithinMs} ms of the end of a full disk`)]),
  ];
  return { lives, violations };

  async function until(isIt: (status: number, body: string) => boolean, name: string): Promise<boolean> {
    const untilMs = performance.now() + toldWithinMs;
    for (let n = 0; performance.now() < untilMs; n += 1) {
      const id = `${name}-${plan.seed}-${Math.round(fullAtMs)}-${n}`;
      const task: PlannedTask = {
        id,
        atMs: 0,
        variant: plan.short,
        determinism: "strict",
        reading: { kind: "nobody" },
      };
      const request = requestFor(task, plan.variants[plan.short] as Variant, stage.model);
      const life = newLife(task);
      const url = `${stage.url}/v1/tasks`;
      const onAsk = () => life.postedAtMs.push(performance.now());
      const { status, body } = await askUntilAnswered("POST", url, request, stage.signal, onAsk);
      if (status === 202) lives.push({ ...life, admission: JSON.parse(body) as AdmissionResponse });
      if (isIt(status, body)) return true;
      await delay(pauseMs, undefined, { signal: stage.signal });
    }
    return false;
  }
}

const wrong = (what: string): Violation => ({ verdict: "wrong", message: `${what}.` });

function isStorage(body: string): boolean {
  const { policy_label: label } = JSON.parse(body) as { policy_label?: string };
  return label === "storage";
}
