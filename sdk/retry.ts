// Whether and when to try again. Only what the error table calls retriable, and connections that broke off,
// are tried again; both are bounded, delays are jittered, and a Retry-After is never undercut.

import { errorTable, OrchError } from "@llama-orch/contract";
import { ConnectionLost, UnreachableError } from "./faults.ts";
import { pause } from "./pause.ts";

export interface RetrySettings {
  /** How long a lost connection is tried again, a restart of the server included. */
  readonly patienceMs: number;
  /** The same for a client that has not reached its server yet. */
  readonly contactMs: number;
  /** How often a request is sent that is answered with a retriable error. */
  readonly attemptsMax: number;
  readonly baseMs: number;
  readonly capMs: number;
}

export const retryDefaults = { patienceMs: 60_000, attemptsMax: 4, baseMs: 100, capMs: 2000 } as const;

/** The longest wait a server of ours asks for; who asks for more is not waited for. */
const retryAfterMaxMs = 60_000;

export interface Retry {
  readonly error: Error;
  readonly delayMs: number;
}

export interface RetryScope {
  readonly settings: RetrySettings;
  /** Whether the server has ever answered this client. */
  reached(): boolean;
  readonly signal?: AbortSignal;
  readonly onRetry?: (retry: Retry) => void;
}

/** Judges failures one after another; `renew` tells it that things went well in between. */
export class Patience {
  readonly #scope: RetryScope;
  #refusals = 0;
  #losses = 0;
  #lostAtMs = 0;

  constructor(scope: RetryScope) {
    this.#scope = scope;
  }

  renew(): void {
    this.#refusals = 0;
    this.#losses = 0;
  }

  /** The server lives, but nothing has come of it yet: the time begins anew, the delays go on growing. */
  heard(): void {
    this.#lostAtMs = performance.now();
  }

  /** Waits until it makes sense to try again, or throws what the caller should see. */
  async wait(error: unknown): Promise<void> {
    const { signal, onRetry } = this.#scope;
    signal?.throwIfAborted();
    const delayMs = this.#delayMs(error);
    onRetry?.({ error: error as Error, delayMs });
    await pause(delayMs, signal);
  }

  #delayMs(error: unknown): number {
    if (error instanceof ConnectionLost) return this.#afterLoss(error);
    if (!(error instanceof OrchError) || !errorTable[error.code].retriable) throw error;
    const { retry_after_ms: afterMs = 0 } = error.details;
    if (++this.#refusals >= this.#scope.settings.attemptsMax || afterMs > retryAfterMaxMs) throw error;
    return afterMs + this.#jitterMs(this.#refusals);
  }

  #afterLoss(error: ConnectionLost): number {
    const { settings, reached } = this.#scope;
    const nowMs = performance.now();
    if (this.#losses === 0) this.#lostAtMs = nowMs;
    const delayMs = this.#jitterMs(++this.#losses);
    const triedMs = nowMs - this.#lostAtMs;
    const allowedMs = reached() ? settings.patienceMs : settings.contactMs;
    if (triedMs + delayMs <= allowedMs) return delayMs;
    throw new UnreachableError(error.url, triedMs, error.cause);
  }

  /** Full jitter: anything up to a bound that doubles, so that clients of a restarted server do not march. */
  #jitterMs(count: number): number {
    const { baseMs, capMs } = this.#scope.settings;
    return Math.random() * Math.min(capMs, baseMs * 2 ** (count - 1));
  }
}

/** What must not run twice by accident is not repeated after a lost connection. */
export async function retrying<T>(
  scope: RetryScope,
  repeatable: boolean,
  attempt: () => Promise<T>,
): Promise<T> {
  const patience = new Patience(scope);
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof ConnectionLost && !repeatable) {
        throw new UnreachableError(error.url, 0, error.cause);
      }
      await patience.wait(error);
    }
  }
}
