// From a request to its admission: what the core must know about it is measured here, the core decides, and
// the answer leaves when it is safe. Prompts stay on this side.

import { hash, randomUUID } from "node:crypto";
import {
  bodyOf,
  canonicalJson,
  OrchError,
  resolveSampling,
  resolveTask,
  type Task,
  type TaskBody,
  type TaskRequest,
} from "@llama-orch/contract";
import type { AcceptTask, BudgetView, Effect, Orchestrator, Remembered, TaskFacts } from "@llama-orch/core";
import type { Admitted, Caller } from "./application.ts";
import type { Clock } from "./clock.ts";
import type { Loop } from "./loop.ts";
import type { PromptCounter } from "./replicas/prompt-counter.ts";
import type { Admitted as AdmittedFact, Asked, Store } from "./store/store.ts";
import type { TaskStream } from "./streaming/task-stream.ts";
import { newRecord } from "./task-record.ts";
import type { Tasks } from "./tasks.ts";

export interface SubmissionsOptions {
  readonly core: Orchestrator;
  readonly loop: () => Loop;
  readonly clock: Clock;
  readonly tasks: Tasks;
  readonly store: Store;
  readonly counter: PromptCounter;
  readonly openStream: (jobId: string) => TaskStream;
}

interface Submission {
  readonly jobId: string;
  readonly task: Task;
  readonly body: TaskBody;
  readonly caller: Caller;
  readonly fingerprint: string;
}

type Reply = Extract<Effect, { readonly type: "AcceptTask" | "RefuseTask" | "RepeatAnswer" }>;

export class Submissions {
  readonly #options: SubmissionsOptions;
  /** The one being decided; its acceptance is performed before `handle` returns. */
  #deciding: Submission | undefined;

  constructor(options: SubmissionsOptions) {
    this.#options = options;
  }

  async submit(request: TaskRequest, bodyBytes: number, caller: Caller): Promise<Admitted> {
    const { core, clock } = this.#options;
    const task = resolveTask(request, {
      ...(caller.tenantId !== undefined && { tenantId: caller.tenantId }),
      defaultSeed: request.seed ?? seedOf(request.task_id),
    });
    const body = bodyOf(request);
    const size = await this.#options.counter.measure(task, body);
    const remembered = await this.#remembered(task);
    const fingerprint = fingerprintOf(task, body);
    const reply = this.#decide({ jobId: randomUUID(), task, body, caller, fingerprint }, (submission) => ({
      type: "TaskSubmitted",
      jobId: submission.jobId,
      task,
      fingerprint,
      client: caller.client,
      ...size,
      bodyBytes,
      extensions: extensionsOf(task),
      ...(remembered !== undefined && { remembered }),
    }));
    if (reply.type === "RefuseTask") {
      const { code, message, details } = reply;
      throw new OrchError(code, message, { engine: task.engine, ...poolOf(core, task), ...details });
    }
    const refused = await this.#options.tasks.job(reply.answer.jobId)?.admitted;
    if (refused !== undefined) throw refused;
    const budget =
      reply.type === "AcceptTask" ? reply.budget : budgetOf(core, reply.answer.jobId, task, clock.nowMs());
    return { taskId: task.taskId, answer: reply.answer, budget };
  }

  /** Performs AcceptTask: from here on the task is known, and its acceptance is on its way to the disk. */
  accept({ jobId, answer, samplerProfile }: AcceptTask): void {
    const { core, tasks, openStream } = this.#options;
    const { task, body, caller } = this.#deciding as Submission;
    const facts = core.taskFacts(jobId) as TaskFacts;
    const { correlationId, identity, client } = caller;
    const sampling = resolveSampling(task.sampling, samplerProfile);
    const asked: Asked = { correlationId, identity, client, samplerProfile, sampling };
    const session = core.sessionFacts(task.tenantId, task.sessionId);
    const admitted = this.#keep({
      fact: "admitted",
      atMs: facts.submittedAtMs,
      facts,
      asked,
      body,
      ...(session !== undefined && { session }),
    });
    const record = newRecord(facts, asked, { stream: openStream(jobId), admitted, isRecovered: false });
    tasks.add(record);
    record.stream.waiting({
      queue_position: answer.queuePosition,
      predicted_start_ms: answer.predictedStartMs,
    });
  }

  /** What was not kept is as if it had never been handed in: the name is free, and nothing of it runs. */
  async #keep(admission: AdmittedFact): Promise<OrchError | undefined> {
    try {
      await this.#options.store.commit([admission]);
      return undefined;
    } catch (error) {
      if (!(error instanceof OrchError)) throw error;
      const { tenantId, taskId } = admission.facts.task;
      this.#options.loop().post({ type: "TaskCanceled", tenantId, taskId, withdrawn: true });
      return error;
    }
  }

  /** The core remembers the latest names itself. */
  #remembered({ tenantId, taskId }: Task): Promise<Remembered | undefined> | undefined {
    const { core, store } = this.#options;
    return core.state.tasks.get(tenantId, taskId) === undefined
      ? store.remembered(tenantId, taskId)
      : undefined;
  }

  #decide(submission: Submission, event: (submission: Submission) => Parameters<Loop["handle"]>[0]): Reply {
    this.#deciding = submission;
    try {
      const effects = this.#options.loop().handle(event(submission));
      return effects.find(isReply) as Reply;
    } finally {
      this.#deciding = undefined;
    }
  }
}

/** The pool that a refusal is about, where there is only one it could be. */
function poolOf({ state }: Orchestrator, { placement, modelRef, engine }: Task): { pool_id?: string } {
  const { mode, pinPoolId = "" } = placement;
  if (mode === "pin") return state.pools.has(pinPoolId) ? { pool_id: pinPoolId } : {};
  const serving = [...state.pools.values()].filter(
    (pool) => pool.modelRef === modelRef && pool.settings.engine === engine,
  );
  return serving.length === 1 ? { pool_id: (serving[0] as { id: string }).id } : {};
}

/** What is left for a task's session now, whether the task is live or not. */
export function budgetOf(core: Orchestrator, jobId: string, task: Task, nowMs: number): BudgetView {
  return core.budget(jobId) ?? sessionBudget(core, task, nowMs);
}

export function sessionBudget(
  core: Orchestrator,
  { tenantId, sessionId }: Pick<Task, "tenantId" | "sessionId">,
  nowMs: number,
): BudgetView {
  const session = core.session(tenantId, sessionId, nowMs);
  return {
    tokens: session.tokens_budget_remaining,
    timeMs: session.time_budget_remaining_ms,
    cost: session.cost_budget_remaining,
  };
}

function isReply(effect: Effect): effect is Reply {
  return effect.type === "AcceptTask" || effect.type === "RefuseTask" || effect.type === "RepeatAnswer";
}

/**
 * First 8 bytes of the sha256 of the task's name, below 2^53, so that a task run again gives the same text.
 */
export function seedOf(taskId: string): number {
  return Number(hash("sha256", taskId, "buffer").readBigUInt64BE(0) % 2n ** 53n);
}

/**
 * Equal exactly when the same thing is asked for, however the fields were ordered: parsed fields stand in the
 * order of their schema, all but those of a schema that the caller sent.
 */
function fingerprintOf(task: Task, body: TaskBody): string {
  const { json_schema, ...sampling } = task.sampling;
  const schema = json_schema === undefined ? "" : canonicalJson(json_schema);
  return hash("sha256", JSON.stringify([{ ...task, sampling }, body]) + schema);
}

/** What an engine must be able to do beyond plain text. */
function extensionsOf({ workload, sampling }: Task): string[] {
  const extensions: string[] = workload === "completion" ? [] : [workload];
  if (sampling.json_schema !== undefined) extensions.push("json_schema");
  return extensions;
}
