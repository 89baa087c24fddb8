// The answers that are streams and still open, so that a polite stop can end them last.

import type { ServerResponse } from "node:http";

export class Streams {
  readonly #open = new Set<ServerResponse>();
  #isCut = false;

  add(response: ServerResponse): void {
    if (this.#isCut) {
      response.destroy();
      return;
    }
    this.#open.add(response);
    response.once("close", () => this.#open.delete(response));
  }

  /** Ends every stream as a lost connection does: its reader comes back for the rest. None opens again. */
  cut(): void {
    this.#isCut = true;
    for (const response of this.#open) response.destroy();
  }
}
