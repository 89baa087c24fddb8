// When a reader was away from its stream. Who is away for longer than a task waits for its last reader may
// lose it; a restart meanwhile gives it more time.

/** After a restart readers have at least this long to come back. */
const graceAfterRestartMs = 30_000;

export class Absence {
  readonly #spans: { readonly fromMs: number; readonly toMs: number }[] = [];
  #sinceMs: number | undefined;

  left(): void {
    this.#sinceMs ??= performance.now();
  }

  came(): void {
    if (this.#sinceMs === undefined) return;
    this.#spans.push({ fromMs: this.#sinceMs, toMs: performance.now() });
    this.#sinceMs = undefined;
  }

  /** @param startsMs when each life of the daemon began */
  mayHaveLost(startsMs: readonly number[], disconnectGraceMs: number): boolean {
    return this.#spans.some(({ fromMs, toMs }) => {
      const missed = startsMs.filter((atMs) => atMs > fromMs && atMs < toMs);
      const ends = [...missed, toMs];
      return [fromMs, ...missed].some((beginMs, n) => {
        const graceMs = n === 0 ? disconnectGraceMs : graceAfterRestartMs;
        return (ends[n] as number) - beginMs >= graceMs;
      });
    });
  }
}
