// Time for the daemon: wall time at its start, carried on by the monotonic clock, so that a set-back wall
// clock never makes time go back. Whoever waits takes this port, so that tests need no waiting.

export interface Clock {
  nowMs(): number;
  /** Runs once, never before the call returns. The process does not stay alive for it. */
  after(ms: number, run: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

/** Longer waits overflow Node's timers. */
const longestMs = 2 ** 31 - 1;

/** @param notBeforeMs the last time that was recorded before this start */
export function systemClock(notBeforeMs = 0): Clock {
  const offsetMs = Math.max(Date.now(), notBeforeMs) - performance.now();
  return {
    nowMs: () => Math.floor(offsetMs + performance.now()),
    after(ms, run) {
      const timer = setTimeout(run, Math.min(Math.max(ms, 0), longestMs));
      timer.unref();
      return { cancel: () => clearTimeout(timer) };
    },
  };
}
