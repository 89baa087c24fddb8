// The clients of a round: each hands in its task at its instant, reads as it was planned, cancels if it was
// to, comes back however often it loses its server, and remembers what it got. They judge nothing.

import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { frameText, type TaskRequest, type TaskState, type TaskView } from "@llama-orch/contract";
import { createClient, OrchError } from "@llama-orch/sdk";
import { handIn } from "./hand-in.ts";
import { type Life, newLife, type Stage } from "./life.ts";
import type { PlannedTask, Variant } from "./plan.ts";
import { readOnce } from "./reader.ts";
import { afterLoss, askUntilAnswered, cutFetch } from "./wire.ts";

export type Instant = (atMs: number) => Promise<unknown>;

export async function live(task: PlannedTask, variant: Variant, stage: Stage, until: Instant): Promise<Life> {
  const life = newLife(task);
  try {
    await until(task.atMs);
    if (task.reading.kind === "sdk") await liveBySdk(life, task.reading.cuts, variant, stage);
    else await liveByHand(life, variant, stage);
  } catch (error) {
    life.failure = String(error);
  }
  return life;
}

/** A session of its own for each, so that no limit of a session is met. */
export function requestOf(id: string, variant: Variant, model: string): TaskRequest {
  return {
    task_id: id,
    session_id: id,
    workload: "completion",
    model_ref: model,
    engine: "llamacpp",
    ctx: 0,
    priority: "interactive",
    deadline_ms: 3_600_000,
    messages: [{ role: "user", content: variant.prompt }],
    max_tokens: variant.maxTokens,
    seed: variant.seed,
  };
}

export const requestFor = (
  { id, determinism }: PlannedTask,
  variant: Variant,
  model: string,
): TaskRequest => ({
  ...requestOf(id, variant, model),
  determinism,
});

export const streamUrl = (url: string, id: string): string => `${url}/v1/tasks/${id}/stream`;

/** Refusals that a client of the SDK takes for passing ones, each with a wait of a second and more. */
const attemptsMax = 30;

async function liveBySdk(life: Life, cuts: readonly number[], variant: Variant, stage: Stage): Promise<void> {
  const { task, received } = life;
  const wire = cutFetch(cuts, life.absence);
  const client = createClient({ baseUrl: stage.url, fetch: wire.fetch, attemptsMax });
  let canceling: Promise<unknown> = Promise.resolve();
  const run = client.run(requestFor(task, variant, stage.model), {
    signal: stage.signal,
    onAccepted(admission) {
      life.admission = admission;
      // What it says is heard when the run is over.
      canceling = cancelLater(life, stage).catch((error: unknown) => error);
    },
  });
  try {
    for await (const { event, data, id } of run) received.take(frameText(event, JSON.stringify(data), id));
  } catch (error) {
    if (!(error instanceof OrchError)) throw error;
    if (life.admission !== undefined && error.code !== "WORKER_RESET") throw error;
    if (life.admission === undefined) life.refusal = `${error.code} (SDK)`;
    else life.isRefused = true;
  } finally {
    life.resumedAtMs.push(...wire.resumedAtMs);
    life.postedAtMs.push(...wire.postedAtMs);
  }
  const failed = await canceling;
  if (failed instanceof Error) throw failed;
  if (wire.unknown() > 0) throw new Error("It was admitted, and then there was no such task.");
}

async function liveByHand(life: Life, variant: Variant, stage: Stage): Promise<void> {
  const { task } = life;
  const admission = await handIn(life, requestFor(task, variant, stage.model), stage);
  if (admission === undefined) return;
  life.admission = admission;
  await Promise.all([read(life, stage), cancelLater(life, stage)]);
}

async function read(life: Life, stage: Stage): Promise<void> {
  const { reading } = life.task;
  switch (reading.kind) {
    case "sdk":
    case "nobody":
      return;
    case "leaves":
      return toTheEnd(life, stage, { cutAfter: reading.afterBytes });
    case "cut":
      for (const cutAfter of reading.cuts) {
        if (isThrough(life)) return;
        await connect(life, stage, { cutAfter });
        await delay(reading.awayMs, undefined, { signal: stage.signal });
      }
      return toTheEnd(life, stage, {});
    case "slow":
      return toTheEnd(life, stage, { pauseMs: reading.pauseMs });
    case "whole":
      return toTheEnd(life, stage, {});
    default:
      reading satisfies never;
  }
}

const isThrough = ({ received, isRefused }: Life): boolean => received.isOver || isRefused === true;

interface Pace {
  readonly cutAfter?: number;
  readonly pauseMs?: number;
}

/** Or until it has read as much on one connection as it wanted. */
async function toTheEnd(life: Life, stage: Stage, pace: Pace): Promise<void> {
  for (let isCut = false; !isCut && !isThrough(life); ) isCut = await connect(life, stage, pace);
}

/** Of somebody whose server has just left without a last word. */
const awayMs = 10;

/** Returns whether it hung up itself. */
async function connect(life: Life, { url, signal }: Stage, pace: Pace): Promise<boolean> {
  const atMs = performance.now();
  try {
    const { status, resumed, isCut } = await readOnce(streamUrl(url, life.task.id), life.received, {
      ...pace,
      signal,
      onCome: () => life.absence.came(),
    });
    if (resumed) life.resumedAtMs.push(atMs);
    if (status === 400 && life.received.lastEventId !== undefined) life.isRefused = true;
    else if (status !== 200) throw new Error(`The stream of ${life.task.id} answered ${status}.`);
    if (!isCut && !isThrough(life)) await delay(awayMs, undefined, { signal });
    return isCut;
  } catch (error) {
    await afterLoss(error, signal);
    return false;
  } finally {
    life.absence.left();
  }
}

/** What was sent before an answer has come by then: the kernel hands it over in order, and we look often. */
const settledMs = 300;
const turns = 10;

async function settled(): Promise<void> {
  for (let n = 0; n < turns; n += 1) await turn();
  await delay(settledMs);
}

async function cancelLater(life: Life, stage: Stage): Promise<void> {
  const { url, signal } = stage;
  const { id, cancelAfterMs } = life.task;
  if (cancelAfterMs === undefined) return;
  await delay(cancelAfterMs, undefined, { signal });
  const { status } = await askUntilAnswered("POST", `${url}/v1/tasks/${id}/cancel`, undefined, signal);
  if (status !== 204) throw new Error(`The cancel of ${id} answered ${status}.`);
  const settling = settled().then(() => life.received.tokens.length);
  const listing = stateOf(id, stage);
  const afterwards = newLife(life.task);
  const [tokens, state] = await Promise.all([settling, listing, toTheEnd(afterwards, stage, {})]);
  life.resumedAtMs.push(...afterwards.resumedAtMs);
  life.canceled = { tokens, afterwards: afterwards.received, ...(state !== undefined && { state }) };
}

async function stateOf(id: string, { url, signal }: Stage): Promise<TaskState | undefined> {
  const { status, body } = await askUntilAnswered("GET", `${url}/v2/tasks/${id}`, undefined, signal);
  return status === 200 ? (JSON.parse(body) as TaskView).state : undefined;
}
