// From a task's name to what a reader can follow: its live stream, or for a while after its end the stream
// that its transcript gives again.

import { OrchError, type OrchestratordConfig, type Transcript } from "@llama-orch/contract";
import type { Orchestrator } from "@llama-orch/core";
import type { Caller, Followed } from "./application.ts";
import type { Artifacts } from "./artifacts/artifacts.ts";
import type { Clock } from "./clock.ts";
import type { Followable } from "./streaming/task-stream.ts";
import { budgetOf } from "./submissions.ts";
import type { TaskRecord } from "./task-record.ts";
import type { Tasks } from "./tasks.ts";

export interface FollowingsOptions {
  readonly core: Orchestrator;
  readonly clock: Clock;
  readonly tasks: Tasks;
  readonly artifacts: Artifacts;
  readonly config: OrchestratordConfig;
  /** A reader came back for the rest of a stream. */
  readonly onReconnect: () => void;
  readonly streamAgain: (transcript: Transcript, transcriptId: string) => Followable;
}

export class Followings {
  readonly #options: FollowingsOptions;

  constructor(options: FollowingsOptions) {
    this.#options = options;
  }

  async follow(taskId: string, { tenantId }: Caller): Promise<Followed> {
    const { tasks, core, clock } = this.#options;
    const record = tenantId === undefined ? tasks.findAny(taskId) : tasks.find(tenantId, taskId);
    if (record === undefined) {
      throw new OrchError("NOT_FOUND", `There is no task ${taskId}. Hand it in with POST /v1/tasks first.`);
    }
    await record.admitted;
    const stream = record.isReleased ? await this.#again(record) : record.stream;
    const budget = budgetOf(core, record.jobId, record.task, clock.nowMs());
    return { stream: this.#counted(stream), budget };
  }

  /** A position that the stream refuses is no reconnect. */
  #counted(stream: Followable): Followable {
    return {
      follow: (position, sink, how) => {
        const reader = stream.follow(position, sink, how);
        if (position !== undefined) this.#options.onReconnect();
        return reader;
      },
    };
  }

  async #again(record: TaskRecord) {
    const { artifacts, clock, config, streamAgain } = this.#options;
    const { transcript: id, task } = record;
    const sinceEndMs = clock.nowMs() - (record.endedAtMs as number);
    const document =
      id === undefined || sinceEndMs > config.retention.streams_ms
        ? undefined
        : await artifacts.get(task.tenantId, id);
    if (document === undefined) {
      const hint = id === undefined ? "" : ` Its transcript may still be read: GET /v1/artifacts/${id}.`;
      throw new OrchError("GONE", `The stream of task ${task.taskId} is no longer served.${hint}`);
    }
    return streamAgain(document as unknown as Transcript, id as string);
  }
}
