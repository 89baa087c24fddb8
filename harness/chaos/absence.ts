// How long a reader was away from its stream at most. Who is away for longer than a task waits for its last
// reader may lose it.

export class Absence {
  longestMs = 0;
  #sinceMs: number | undefined;

  left(): void {
    this.#sinceMs ??= performance.now();
  }

  came(): void {
    if (this.#sinceMs === undefined) return;
    this.longestMs = Math.max(this.longestMs, performance.now() - this.#sinceMs);
    this.#sinceMs = undefined;
  }
}
