// What has been delivered of one stream: the next index and the running digest of everything before it. It
// alone decides whether a token is new, known already, or proof that two streams were mixed.

import { parseFrameId, StreamDigest, type TokenFrame } from "@llama-orch/contract";
import { mismatch } from "./faults.ts";

export type Piece = Pick<TokenFrame, "t" | "i">;

interface Position {
  readonly digest: StreamDigest;
  count: number;
}

const start = (): Position => ({ digest: new StreamDigest(), count: 0 });

export class Delivery {
  readonly #taskId: string;
  readonly #delivered = start();
  /** Where the stream stands that is written again from its first frame, until it has caught up. */
  #again: Position | undefined;

  constructor(taskId: string) {
    this.#taskId = taskId;
  }

  /** How many tokens were delivered. */
  get count(): number {
    return this.#delivered.count;
  }

  /** The proof of the position, as Last-Event-ID carries it; undefined at the start. */
  get lastEventId(): string | undefined {
    const { digest, count } = this.#again ?? this.#delivered;
    return count === 0 ? undefined : `${count - 1}-${digest.short()}`;
  }

  /** The stream will come from its first frame; what was delivered is compared and left out. */
  startOver(): void {
    this.#again = this.#delivered.count === 0 ? undefined : start();
  }

  /** What of a frame is new, piece by piece. Throws when it does not continue what was delivered. */
  take(frame: TokenFrame, id: string | undefined): Piece[] {
    const pieces: readonly Piece[] = frame.batch ?? [frame];
    const fresh = pieces.filter((piece) => this.#accept(piece));
    if (id !== undefined) this.#check(id);
    return fresh.map(({ t, i }) => ({ t, i }));
  }

  /** Throws when the stream ended before it had caught up with what was delivered. */
  finish(): void {
    if (this.#again === undefined) return;
    const { count } = this.#again;
    throw mismatch(
      this.#taskId,
      `it ended after ${count} tokens, and ${this.#delivered.count} were delivered`,
    );
  }

  #accept({ t, i }: Piece): boolean {
    const position = this.#again ?? this.#delivered;
    if (i < position.count) return false;
    if (i > position.count) {
      throw mismatch(this.#taskId, `token ${i} came where ${position.count} was due`);
    }
    position.digest.add(i, t);
    position.count++;
    if (this.#again !== undefined) this.#catchUp(this.#again);
    else return true;
    return false;
  }

  #catchUp(again: Position): void {
    if (again.count < this.#delivered.count) return;
    if (again.digest.hex() !== this.#delivered.digest.hex()) {
      throw mismatch(this.#taskId, "its tokens are not the ones that were delivered");
    }
    this.#again = undefined;
  }

  /** An id proves the position after its frame, so it is compared when that is where we stand. */
  #check(id: string): void {
    const position = parseFrameId(id);
    if (position === undefined || position === "end" || position.digest === undefined) return;
    const { digest, count } = this.#again ?? this.#delivered;
    if (position.index !== count - 1 || position.digest === digest.short()) return;
    throw mismatch(this.#taskId, `the digest of token ${position.index} differs from ours`);
  }
}
