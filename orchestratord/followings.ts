// From a task's name to what a reader can follow: its live stream, or for a while after its end the stream
// that its transcript gives again.

import { OrchError, type OrchestratordConfig } from "@llama-orch/contract";
import type { Orchestrator } from "@llama-orch/core";
import type { Caller, Followed } from "./application.ts";
import type { Clock } from "./clock.ts";
import type { Recorder } from "./recorder.ts";
import type { EndedTask, Store } from "./store/store.ts";
import type { Replays } from "./streaming/replays.ts";
import type { Followable } from "./streaming/task-stream.ts";
import { budgetOf, sessionBudget } from "./submissions.ts";
import type { TaskRecord } from "./task-record.ts";
import type { Tasks } from "./tasks.ts";

export interface FollowingsOptions {
  readonly core: Orchestrator;
  readonly clock: Clock;
  readonly tasks: Tasks;
  readonly store: Store;
  readonly recorder: Recorder;
  readonly replays: Replays;
  readonly config: OrchestratordConfig;
  /** A reader came back for the rest of a stream. */
  readonly onReconnect: () => void;
}

export class Followings {
  readonly #options: FollowingsOptions;

  constructor(options: FollowingsOptions) {
    this.#options = options;
  }

  async follow(taskId: string, { tenantId }: Caller): Promise<Followed> {
    const { tasks, core, clock } = this.#options;
    const record = tenantId === undefined ? tasks.findAny(taskId) : tasks.find(tenantId, taskId);
    if (record === undefined) return this.#followForgotten(tenantId, taskId);
    const refused = await record.admitted;
    if (refused !== undefined) throw refused;
    if (record.isReleased) {
      const { endedAtMs: atMs = 0, transcript } = record;
      const { tenantId: owner } = record.task;
      const ended = { tenantId: owner, taskId, atMs, ...(transcript !== undefined && { transcript }) };
      return this.#again(ended);
    }
    return {
      stream: this.#counted(record.stream, () => this.#read(record)),
      budget: budgetOf(core, record.jobId, record.task, clock.nowMs()),
    };
  }

  /** Lists show so many tasks and no more; their streams are served for as long as was promised. */
  async #followForgotten(tenantId: string | undefined, taskId: string): Promise<Followed> {
    const { store } = this.#options;
    const ended = await store.transcript(tenantId, taskId);
    if (ended !== undefined) return this.#again(ended);
    if ((await store.remembered(tenantId, taskId)) !== undefined) throw gone(taskId, undefined);
    throw new OrchError("NOT_FOUND", `There is no task ${taskId}. Hand it in with POST /v1/tasks first.`);
  }

  /** Frames leave before that is safe: `core/facts.ts` says what a crash in between may cost. */
  #read(record: TaskRecord): void {
    if (record.outcome === undefined) this.#options.recorder.read(record);
  }

  /** Whose position the stream refuses has come for nothing: that is no reader and no reconnect. */
  #counted(stream: Followable, onReader: () => void = () => {}): Followable {
    return {
      follow: (position, sink, how) => {
        const reader = stream.follow(position, sink, how);
        onReader();
        if (position !== undefined) this.#options.onReconnect();
        return reader;
      },
    };
  }

  /** The place of the session's budget is in the transcript: everything else of the task may be forgotten. */
  async #again({ tenantId, taskId, atMs, transcript: id }: Ended): Promise<Followed> {
    const { core, clock, config, replays } = this.#options;
    if (id === undefined) throw gone(taskId, undefined);
    if (clock.nowMs() - atMs > config.retention.streams_ms) throw gone(taskId, id);
    const replay = await replays.of(tenantId, id);
    if (replay === undefined) throw gone(taskId, undefined);
    const { stream, sessionId } = replay;
    return {
      stream: this.#counted(stream),
      budget: sessionBudget(core, { tenantId, sessionId }, clock.nowMs()),
    };
  }
}

type Ended = Pick<EndedTask, "tenantId" | "taskId" | "atMs" | "transcript">;

/** @param transcript where it may still be read */
function gone(taskId: string, transcript: string | undefined): OrchError {
  const next =
    transcript === undefined
      ? "Send the task again under another task_id."
      : `Its transcript may still be read: GET /v1/artifacts/${transcript}.`;
  return new OrchError("GONE", `The stream of task ${taskId} is no longer served. ${next}`);
}
