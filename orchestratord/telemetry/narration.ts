// What the daemon does, in words: who does what to what, as a sentence a person understands, with where it
// came from. Whoever wants to hear it subscribes; nobody has to.

import { type Narration, redacted } from "@llama-orch/contract";

export type Told = Narration;
export type Listener = (narration: Narration) => void;

export interface NarratorOptions {
  readonly emittedBy: string;
  readonly nowMs: () => number;
  readonly maskUuids: boolean;
}

const humanMax = 100;
const bearer = /\bbearer\s+\S+/gi;
const pair = /\b(api_key|apikey|key|token|secret|password)\s*[=:]\s*\S+/gi;
/** In every text in which one of the two finds something, and in few others. */
const sign = /bearer|[=:]/i;
const uuid = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g;

export class Narrator {
  readonly #options: NarratorOptions;
  readonly #listeners = new Set<Listener>();

  constructor(options: NarratorOptions) {
    this.#options = options;
  }

  /** Fills in where it came from and hands it to whoever listens; gives the sentence for the log line. */
  tell(told: Told): string {
    const { emittedBy, nowMs, maskUuids } = this.#options;
    const safe = sign.test(told.human) ? withoutSecrets(told.human) : told.human;
    const masked = maskUuids ? safe.replace(uuid, redacted) : safe;
    const human = masked.length <= humanMax ? masked : `${masked.slice(0, humanMax - 1)}…`;
    if (this.#listeners.size > 0) {
      const narration: Narration = { emitted_by: emittedBy, emitted_at_ms: nowMs(), ...told, human };
      for (const listener of this.#listeners) listener(narration);
    }
    return human;
  }

  /** @returns how to stop listening */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

const withoutSecrets = (text: string): string =>
  text.replace(bearer, `Bearer ${redacted}`).replace(pair, `$1=${redacted}`);
