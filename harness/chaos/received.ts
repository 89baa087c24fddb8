// What one reader has got of a stream, over however many connections: whole frames as they were on the wire,
// its position, and the last frame. A frame that a cut left in halves was never got.

import type { EndFrame, ErrorFrame } from "@llama-orch/contract";

export interface Terminal {
  readonly event: "end" | "error";
  readonly data: Partial<EndFrame> & Partial<ErrorFrame>;
}

export class Received {
  /** Every token frame, byte for byte. */
  readonly tokens: string[] = [];
  /** How many of them came a second time. */
  duplicated = 0;
  terminal: Terminal | undefined;
  terminals = 0;
  lastEventId: string | undefined;
  /** The stream said that it went on after a loss. */
  resumed = false;
  /** Everything but comments, byte for byte. */
  readonly frames: string[] = [];
  #rest = "";

  get bytes(): string {
    return this.tokens.join("");
  }

  get isOver(): boolean {
    return this.terminal !== undefined;
  }

  /** Returns whether a token came. */
  take(text: string): void {
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop() as string;
    for (const block of blocks) this.#block(`${block}\n\n`);
  }

  /** The connection has ended. */
  cut(): void {
    this.#rest = "";
  }

  #block(block: string): void {
    const { id, event, data } = fieldsOf(block);
    if (event !== undefined) this.frames.push(block);
    if (id !== undefined) this.lastEventId = id;
    if (event === "token") {
      if (indexOf(data) < this.tokens.length) this.duplicated += 1;
      this.tokens.push(block);
    } else if (event === "end" || event === "error") {
      this.terminals += 1;
      this.terminal = { event, data: JSON.parse(data) };
    } else if (event === "metrics" && "resumed" in JSON.parse(data)) this.resumed = true;
  }
}

export const indexOf = (data: string): number => (JSON.parse(data) as { i: number }).i;

export function dataOf(block: string): string {
  return fieldsOf(block).data;
}

function fieldsOf(block: string): { id?: string; event?: string; data: string } {
  const fields = block
    .trimEnd()
    .split("\n")
    .map((line): [string, string] => {
      const colon = line.indexOf(": ");
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
  return { data: "", ...Object.fromEntries(fields) };
}
