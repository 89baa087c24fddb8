// The port to those who only watch: metrics, logs and traces. They see what was decided after it was
// performed, and may change nothing.

import type { Effect, Event } from "@llama-orch/core";
import type { TaskRecord } from "./task-record.ts";

export interface Observer {
  handled(event: Event, effects: readonly Effect[]): void;
  /** Once per batch of delivered tokens. */
  delivered(record: TaskRecord, tokens: number): void;
  /** Something went wrong that no client hears of; the daemon goes on. */
  trouble(what: string, cause: unknown, record?: TaskRecord): void;
}
