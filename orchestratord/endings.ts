// How a task ends towards its readers: the gate is shut at once, the transcript and the outcome are made
// safe, and only then the terminal frame leaves. While the disk refuses either, nobody is told anything: it
// is tried again until it is kept, and what is not by the end of the process runs again at the next start.

import { type EndFrame, type ErrorFrame, OrchError } from "@llama-orch/contract";
import { type EndTask, type Orchestrator, type Outcome, spentBy } from "@llama-orch/core";
import type { Artifacts } from "./artifacts/artifacts.ts";
import { startedFrame } from "./attempts.ts";
import type { Clock } from "./clock.ts";
import { refusalOf } from "./disk-full.ts";
import type { Observer } from "./observer.ts";
import { isStorageRefusal, storageRefusal } from "./store/refusal.ts";
import type { WatchedStore } from "./store/watched.ts";
import { transcriptOf } from "./streaming/transcript.ts";
import type { TaskRecord } from "./task-record.ts";
import { type Tasks, viewOf } from "./tasks.ts";

export interface EndingsOptions {
  readonly core: Orchestrator;
  readonly clock: Clock;
  readonly tasks: Tasks;
  readonly store: WatchedStore;
  readonly artifacts: Artifacts;
  readonly observer: Observer;
}

export class Endings {
  readonly #options: EndingsOptions;
  readonly #pending = new Set<Promise<unknown>>();

  constructor(options: EndingsOptions) {
    this.#options = options;
  }

  end({ jobId, outcome: decided }: EndTask): void {
    const { tasks, clock } = this.#options;
    const record = tasks.job(jobId) as TaskRecord;
    record.stream.closeGate();
    // The core hears of a running attempt's tokens once a second; what readers have had is known here.
    const outcome = { ...decided, tokensOut: Math.max(decided.tokensOut, record.stream.tokensOut) };
    record.outcome = outcome;
    record.state = outcome.kind;
    record.code = outcome.kind === "failed" ? outcome.code : undefined;
    record.tokensOut = outcome.tokensOut;
    record.endedAtMs = clock.nowMs();
    const ended = this.#finish(record, outcome).finally(() => this.#pending.delete(ended));
    this.#pending.add(ended);
    record.ended = ended;
  }

  /** Resolves once every ending so far is safe and its terminal frame has left, or is owed. */
  async idle(): Promise<void> {
    await Promise.all(this.#pending);
  }

  /** @returns why nobody is told, where that is so */
  async #finish(record: TaskRecord, outcome: Outcome): Promise<OrchError | undefined> {
    const { stream } = record;
    if ((await record.admitted) !== undefined) {
      this.#options.tasks.forget(record);
      stream.release();
      return undefined;
    }
    if (!stream.isStarted) stream.started(startedFrame(record));
    try {
      await this.#options.store.insist(`end of ${record.jobId}`, () => this.#conclude(record, outcome));
      return undefined;
    } catch (error) {
      if (isStorageRefusal(error)) return error;
      this.#options.observer.trouble("An outcome can never be kept.", error, record);
      this.#mayBeForgotten(record);
      return new OrchError("INTERNAL", "The end of the task cannot be kept. See the daemon's log.");
    }
  }

  /** Not before somebody else knows how it ended. */
  #mayBeForgotten(record: TaskRecord): void {
    this.#options.tasks.ended(record, record.endedAtMs as number);
  }

  async #conclude(record: TaskRecord, outcome: Outcome): Promise<void> {
    const { stream } = record;
    const transcript = await this.#keep(record, outcome);
    const known = transcript === undefined ? {} : { transcript };
    if (outcome.kind === "failed") stream.error({ ...errorFrame(record, outcome), ...known });
    else stream.end({ ...endFrame(record, outcome), ...known });
    record.transcript = transcript;
    record.isReleased = true;
    stream.release();
    record.ended = Promise.resolve(undefined);
    this.#mayBeForgotten(record);
  }

  /**
   * The id of the transcript, or undefined where it can never be kept; the reader gets the ending anyway.
   *
   * @throws OrchError POOL_UNAVAILABLE (storage) while the disk refuses
   */
  async #keep(record: TaskRecord, outcome: Outcome): Promise<string | undefined> {
    const { core, store, observer } = this.#options;
    const { tenantId, taskId } = record.task;
    const atMs = record.endedAtMs as number;
    const { session, tenantBudgets } = core.state.settings;
    const spent = spentBy({ ...outcome, reserved: record.reserved }, session.costPerToken);
    const tenantPays = tenantBudgets[tenantId] !== undefined;
    const named = { fact: "ended", jobId: record.jobId, tenantId, taskId } as const;
    const ended = { ...named, atMs, outcome, spent, tenantPays, view: viewOf(record, undefined) };
    let transcript: string | undefined;
    try {
      transcript = await this.#keepTranscript(record, outcome);
    } catch (error) {
      if (isStorageRefusal(error)) throw error;
      observer.trouble("A transcript could not be kept.", error, record);
    }
    await store.commit([{ ...ended, ...(transcript !== undefined && { transcript }) }]);
    return transcript;
  }

  /** On a full disk in the room that is held for it, and not at all while that is used up, too. */
  async #keepTranscript(record: TaskRecord, outcome: Outcome): Promise<string> {
    const { artifacts, store } = this.#options;
    const frame = outcome.kind === "failed" ? errorFrame(record, outcome) : endFrame(record, outcome);
    const body = await store.body(record.jobId);
    const put = async () => {
      const document = transcriptOf(record, frame, body);
      const { tenantId } = record.task;
      const createdMs = record.endedAtMs as number;
      return (await artifacts.put({ tenantId, document, keep: "transcript", createdMs })).id;
    };
    try {
      return await put();
    } catch (error) {
      if (refusalOf(error) === undefined) throw error;
      // Others may have made room in the meantime, so it is tried again whoever does.
      store.makeRoom();
    }
    try {
      return await put();
    } catch (error) {
      const refusal = refusalOf(error);
      throw refusal === undefined ? error : storageRefusal(refusal.message, error);
    }
  }
}

export function endFrame({ stream }: TaskRecord, outcome: Exclude<Outcome, { kind: "failed" }>): EndFrame {
  const { tokensOut, decodeMs } = outcome;
  return {
    tokens_out: tokensOut,
    decode_time_ms: decodeMs,
    decode_ms: decodeMs,
    ...(outcome.kind === "canceled" && { canceled: true }),
    ...(stream.result !== undefined && outcome.kind === "done" && { result: stream.result }),
  };
}

export function errorFrame(record: TaskRecord, outcome: Extract<Outcome, { kind: "failed" }>): ErrorFrame {
  const { code, message, details } = outcome;
  const pool = record.placed === undefined ? {} : { pool_id: record.placed.poolId };
  const envelope = new OrchError(code, message, { ...pool, ...details }).toEnvelope();
  return {
    ...envelope,
    code,
    message,
    retriable: envelope.retriable as boolean,
    engine: record.task.engine,
    job_id: record.jobId,
    correlation_id: record.correlationId,
  };
}
