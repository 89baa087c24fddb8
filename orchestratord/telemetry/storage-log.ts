// An outage of the store in the log: one line when it begins, with what helps, and one when it is over.

import type { Log } from "./log.ts";
import type { Narrator } from "./narration.ts";

export interface StorageLogOptions {
  readonly log: Log;
  readonly narrator: Narrator;
}

export class StorageLog {
  readonly #log: Log;
  readonly #narrator: Narrator;

  constructor({ log, narrator }: StorageLogOptions) {
    this.#log = log;
    this.#narrator = narrator;
  }

  changed(isFull: boolean, reason: string): void {
    const action = isFull ? "refuse" : "admit";
    const human = this.#narrator.tell({
      actor: "orchestratord",
      action,
      target: "storage",
      human: isFull
        ? "Admits nothing: the store cannot be written. What was admitted goes on."
        : "Admits tasks again: the store can be written.",
    });
    if (isFull) this.#log.write("warn", "storage_refused", { human, reason });
    else this.#log.write("info", "storage_recovered", { human });
  }
}
