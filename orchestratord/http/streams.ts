// The answers that are streams and still open, each with its reader: a reader ends with its connection, and a
// polite stop ends the connections last.

import type { ServerResponse } from "node:http";
import type { Reader } from "../streaming/task-stream.ts";

export class Streams {
  readonly #open = new Map<ServerResponse, Reader>();
  /** One for all, called on the response that closes: two listeners of its own took half a KiB per stream. */
  readonly #closed: (this: ServerResponse) => void;
  #isCut = false;

  constructor() {
    const open = this.#open;
    this.#closed = function () {
      open.get(this)?.close();
      open.delete(this);
    };
  }

  add(response: ServerResponse, reader: Reader): void {
    this.#open.set(response, reader);
    response.on("close", this.#closed);
    if (this.#isCut) response.destroy();
  }

  /** Ends every stream as a lost connection does: its reader comes back for the rest. None opens again. */
  cut(): void {
    this.#isCut = true;
    for (const response of this.#open.keys()) response.destroy();
  }
}
