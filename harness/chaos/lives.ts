// The clients of a round: each hands in its task at its instant, reads as it was planned, cancels if it was
// to, and remembers what it got. They judge nothing.

import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { type AdmissionResponse, frameText, type TaskRequest } from "@llama-orch/contract";
import { createClient, OrchError } from "@llama-orch/sdk";
import type { PlannedTask, Variant } from "./plan.ts";
import { readOnce } from "./reader.ts";
import { Received } from "./received.ts";
import { ask, cutFetch } from "./wire.ts";

export interface Place {
  readonly url: string;
  readonly model: string;
}

export interface Life {
  readonly task: PlannedTask;
  /** Absent: it was never taken in. */
  jobId?: string;
  readonly received: Received;
  /** Connections that went on from a position. */
  resumes: number;
  /** The cancel was answered with 204. */
  canceled?: Canceled;
  /** What happened to the client and should not. */
  failure?: string;
}

interface Canceled {
  /** What its reader had when everything sent before the answer must have come. */
  readonly tokens: number;
  /** What somebody got who began to read after the answer. */
  readonly afterwards: Received;
}

export type Instant = (atMs: number) => Promise<unknown>;

export async function live(task: PlannedTask, variant: Variant, place: Place, until: Instant): Promise<Life> {
  const life: Life = { task, received: new Received(), resumes: 0 };
  await until(task.atMs);
  try {
    if (task.reading.kind === "sdk") await liveBySdk(life, task.reading.cuts, variant, place);
    else await liveByHand(life, variant, place);
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

export const streamUrl = (url: string, id: string): string => `${url}/v1/tasks/${id}/stream`;

async function liveBySdk(
  life: Life,
  cuts: readonly number[],
  variant: Variant,
  { url, model }: Place,
): Promise<void> {
  const { task, received } = life;
  const wire = cutFetch(cuts);
  const client = createClient({ baseUrl: url, fetch: wire.fetch });
  const request = { ...requestOf(task.id, variant, model), determinism: task.determinism };
  let canceling: Promise<unknown> = Promise.resolve();
  const run = client.run(request, {
    onAccepted(admission) {
      life.jobId = admission.job_id;
      // What it says is heard when the run is over.
      canceling = cancelLater(life, url).catch((error: unknown) => error);
    },
  });
  try {
    for await (const { event, data, id } of run) received.take(frameText(event, JSON.stringify(data), id));
  } catch (error) {
    if (!(error instanceof OrchError) || life.jobId !== undefined) throw error;
  } finally {
    life.resumes += wire.resumes();
  }
  const failed = await canceling;
  if (failed instanceof Error) throw failed;
}

async function liveByHand(life: Life, variant: Variant, { url, model }: Place): Promise<void> {
  const { task } = life;
  const request = { ...requestOf(task.id, variant, model), determinism: task.determinism };
  const jobId = await submit(url, request);
  if (jobId === undefined) return;
  life.jobId = jobId;
  await Promise.all([read(life, url), cancelLater(life, url)]);
}

const refusedWithinMs = 5000;

/** Undefined where it was refused for as long as anybody asks. */
export async function submit(url: string, request: TaskRequest): Promise<string | undefined> {
  const untilMs = performance.now() + refusedWithinMs;
  for (;;) {
    const { status, body } = await ask("POST", `${url}/v1/tasks`, request);
    if (status === 202) return (JSON.parse(body) as AdmissionResponse).job_id;
    if (status !== 503 && status !== 429) throw new Error(`Task ${request.task_id} got ${status}: ${body}`);
    if (performance.now() > untilMs) return undefined;
    await delay(100);
  }
}

async function read(life: Life, url: string): Promise<void> {
  const { reading } = life.task;
  switch (reading.kind) {
    case "sdk":
    case "nobody":
      return;
    case "leaves":
      return connect(life, url, { cutAfter: reading.afterBytes });
    case "cut":
      for (const cutAfter of reading.cuts) {
        if (life.received.isOver) return;
        await connect(life, url, { cutAfter });
        await delay(reading.awayMs);
      }
      return toTheEnd(life, url, {});
    case "slow":
      return toTheEnd(life, url, { pauseMs: reading.pauseMs });
    case "whole":
      return toTheEnd(life, url, {});
    default:
      reading satisfies never;
  }
}

async function toTheEnd(life: Life, url: string, pace: { readonly pauseMs?: number }): Promise<void> {
  while (!life.received.isOver) await connect(life, url, pace);
}

async function connect(
  life: Life,
  url: string,
  pace: { readonly cutAfter?: number; readonly pauseMs?: number },
): Promise<void> {
  const { status, resumed } = await readOnce(streamUrl(url, life.task.id), life.received, pace);
  if (status !== 200) throw new Error(`The stream of ${life.task.id} answered ${status}.`);
  if (resumed) life.resumes += 1;
}

/** What was sent before an answer has come by then: the kernel hands it over in order, and we look often. */
const settledMs = 300;
const turns = 10;

async function settled(): Promise<void> {
  for (let n = 0; n < turns; n += 1) await turn();
  await delay(settledMs);
}

async function cancelLater(life: Life, url: string): Promise<void> {
  const { id, cancelAfterMs } = life.task;
  if (cancelAfterMs === undefined) return;
  await delay(cancelAfterMs);
  const { status } = await ask("POST", `${url}/v1/tasks/${id}/cancel`);
  if (status !== 204) throw new Error(`The cancel of ${id} answered ${status}.`);
  const afterwards = new Received();
  const settling = settled().then(() => life.received.tokens.length);
  const [tokens] = await Promise.all([settling, readOnce(streamUrl(url, id), afterwards)]);
  life.canceled = { tokens, afterwards };
}
