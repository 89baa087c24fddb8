// What a client of a round remembers: what it was answered, what it has read, and when. Nothing is judged
// here.

import type { AdmissionResponse, TaskState } from "@llama-orch/contract";
import { Absence } from "./absence.ts";
import type { PlannedTask } from "./plan.ts";
import { Received } from "./received.ts";

export interface Place {
  readonly url: string;
  readonly model: string;
}

export interface Stage extends Place {
  /** Aborted when it is over and nobody is to come back any more. */
  readonly signal: AbortSignal;
}

export interface Life {
  readonly task: PlannedTask;
  /** What it was answered first; absent: it was never taken in. */
  admission?: AdmissionResponse;
  /** Each time it was handed in. */
  readonly postedAtMs: number[];
  readonly received: Received;
  readonly absence: Absence;
  /** Each connection that went on from a position. */
  readonly resumedAtMs: number[];
  /** Its position was refused: the server could not go on with the text that it has. */
  isRefused?: boolean;
  /** In which words it was not taken in, when it gave up. */
  refusal?: string;
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
  /** In the list, right after the answer; absent where the task is in no list any more. */
  readonly state?: TaskState;
}

export const newLife = (task: PlannedTask): Life => ({
  task,
  postedAtMs: [],
  received: new Received(),
  absence: new Absence(),
  resumedAtMs: [],
});
