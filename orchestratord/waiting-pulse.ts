// Tells waiting readers where they stand: once a second while anybody waits, in one walk over the queues.

import type { Orchestrator } from "@llama-orch/core";
import type { Clock, Timer } from "./clock.ts";
import type { Tasks } from "./tasks.ts";

const everyMs = 1000;

export class WaitingPulse {
  readonly #core: Orchestrator;
  readonly #tasks: Tasks;
  readonly #clock: Clock;
  #timer: Timer | undefined;

  constructor(core: Orchestrator, tasks: Tasks, clock: Clock) {
    this.#core = core;
    this.#tasks = tasks;
    this.#clock = clock;
  }

  /** Somebody waits; beats until nobody does. */
  start(): void {
    this.#timer ??= this.#clock.after(everyMs, () => this.#beat());
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #beat(): void {
    this.#timer = undefined;
    let waiting = false;
    for (const setId of this.#core.state.sets.keys()) {
      for (const { jobId, position, predictedStartMs } of this.#core.waiting(setId)) {
        waiting = true;
        const stream = this.#tasks.job(jobId)?.stream;
        if (stream === undefined || stream.isStarted || stream.readers === 0) continue;
        stream.waiting({ queue_position: position, predicted_start_ms: predictedStartMs });
      }
    }
    if (waiting) this.start();
  }
}
