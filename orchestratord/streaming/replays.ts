// Finished streams that are followed again: each is made out of its transcript once for all of its readers,
// in pieces that let others have their turn, and forgotten a while after the last of them.

import type { Transcript } from "@llama-orch/contract";
import type { Clock, Timer } from "../clock.ts";
import type { TaskStream } from "./task-stream.ts";

export interface ReplaysOptions {
  readonly clock: Clock;
  /** Undefined where there is no such transcript any more. */
  readonly load: (tenantId: string, transcriptId: string) => Promise<Transcript | undefined>;
  readonly make: (
    transcript: Transcript,
    transcriptId: string,
    onReaders: (count: number) => void,
  ) => Promise<TaskStream>;
}

/** One of them, with what must be known of the task besides. */
export interface Replay {
  readonly stream: TaskStream;
  readonly sessionId: string;
}

interface Shared {
  readonly replay: Promise<Replay | undefined>;
  readers: number;
  forgetting: Timer | undefined;
}

/** Long enough for a crowd that comes for the same stream, and for a reader that was cut to come back. */
const keepMs = 5000;
/** Without readers; beyond it the longest unused go at once. */
const unreadMax = 8;

export class Replays {
  readonly #options: ReplaysOptions;
  /** Longest unused first, as far as nobody reads them. */
  readonly #shared = new Map<string, Shared>();

  constructor(options: ReplaysOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#shared.size;
  }

  /** The caller follows it at once, or never. Undefined where there is no such transcript any more. */
  of(tenantId: string, transcriptId: string): Promise<Replay | undefined> {
    const key = `${tenantId} ${transcriptId}`;
    const shared = this.#shared.get(key) ?? this.#open(key, tenantId, transcriptId);
    // Whoever asks may fail to follow: it counts as unread from now on until a reader is there.
    if (shared.readers === 0) this.#forgetLater(key, shared);
    return shared.replay;
  }

  close(): void {
    for (const { forgetting } of this.#shared.values()) forgetting?.cancel();
    this.#shared.clear();
  }

  #open(key: string, tenantId: string, transcriptId: string): Shared {
    const onReaders = (count: number) => {
      shared.readers = count;
      if (count === 0) this.#forgetLater(key, shared);
      else shared.forgetting?.cancel();
    };
    const replay = this.#make(tenantId, transcriptId, onReaders);
    const shared: Shared = { replay, readers: 0, forgetting: undefined };
    this.#shared.set(key, shared);
    const forget = () => this.#forget(key, shared);
    // What could not be had may be there at the next try.
    replay.then((made) => made ?? forget(), forget);
    return shared;
  }

  async #make(tenantId: string, transcriptId: string, onReaders: (count: number) => void) {
    const transcript = await this.#options.load(tenantId, transcriptId);
    if (transcript === undefined) return undefined;
    const stream = await this.#options.make(transcript, transcriptId, onReaders);
    return { stream, sessionId: transcript.metadata.request.session_id };
  }

  #forgetLater(key: string, shared: Shared): void {
    if (this.#shared.get(key) !== shared) return;
    shared.forgetting?.cancel();
    shared.forgetting = this.#options.clock.after(keepMs, () => this.#forget(key, shared));
    this.#shared.delete(key);
    this.#shared.set(key, shared);
    const unread = [...this.#shared].filter(([, { readers }]) => readers === 0);
    for (const [longest, each] of unread.slice(0, -unreadMax)) this.#forget(longest, each);
  }

  #forget(key: string, shared: Shared): void {
    shared.forgetting?.cancel();
    if (this.#shared.get(key) === shared) this.#shared.delete(key);
  }
}
