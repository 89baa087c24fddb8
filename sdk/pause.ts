// Waiting that ends at once when its signal does, and limits on what may take for ever. Owns its timers and
// listeners and leaves none behind.

/** Resolves after `ms`, or throws the signal's reason as soon as it aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

export interface Limit extends Disposable {
  readonly signal: AbortSignal;
  /** No limit from now on; the outer signal still counts. */
  lift(): void;
}

/** A signal that aborts with the outer one, or after `ms`, with the reason that `reason` makes. */
export function limit(ms: number, reason: () => Error, outer?: AbortSignal): Limit {
  const controller = new AbortController();
  const abort = () => controller.abort(outer?.reason);
  const expire = () => controller.abort(reason());
  const timer = setTimeout(expire, ms);
  if (outer?.aborted) abort();
  else outer?.addEventListener("abort", abort, { once: true });
  return {
    signal: controller.signal,
    lift: () => clearTimeout(timer),
    [Symbol.dispose]() {
      clearTimeout(timer);
      outer?.removeEventListener("abort", abort);
    },
  };
}
