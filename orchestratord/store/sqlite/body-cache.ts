// The texts of tasks that were admitted a moment ago, since most are dispatched at once. What is not yet safe
// stays; of the rest the oldest go first, and are found on the disk.

import type { TaskBody } from "@llama-orch/contract";

interface Cached {
  readonly body: TaskBody;
  readonly bytes: number;
}

export class BodyCache {
  readonly #limitBytes: number;
  #bytes = 0;
  readonly #unsafe = new Map<string, Cached>();
  readonly #safe = new Map<string, Cached>();

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get(jobId: string): TaskBody | undefined {
    return (this.#unsafe.get(jobId) ?? this.#safe.get(jobId))?.body;
  }

  add(jobId: string, body: TaskBody, bytes: number): void {
    this.#unsafe.set(jobId, { body, bytes });
  }

  /** It can be read from the disk now. */
  settle(jobId: string): void {
    const cached = this.#unsafe.get(jobId);
    if (cached === undefined) return;
    this.#unsafe.delete(jobId);
    this.#safe.set(jobId, cached);
    this.#bytes += cached.bytes;
    for (const [oldest, { bytes }] of this.#safe) {
      if (this.#bytes <= this.#limitBytes) return;
      this.#safe.delete(oldest);
      this.#bytes -= bytes;
    }
  }

  drop(jobId: string): void {
    this.#unsafe.delete(jobId);
    const cached = this.#safe.get(jobId);
    if (cached === undefined) return;
    this.#safe.delete(jobId);
    this.#bytes -= cached.bytes;
  }
}
