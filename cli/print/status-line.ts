// One line on stderr about what is going on: rewritten in place on a terminal, plain lines elsewhere. It owns
// the line until it is cleared, so whoever writes something lasting clears it first.

import { type Output, paint, widthOf } from "../terminal.ts";
import { safeText } from "./safe-text.ts";

export class StatusLine {
  readonly #output: Output;
  #shown = "";

  constructor(output: Output) {
    this.#output = output;
  }

  show(text: string): void {
    const line = safeText(text);
    if (line === this.#shown) return;
    this.#shown = line;
    if (this.#output.isTTY) {
      this.#output.write(`\r\u001b[K${paint("dim", line.slice(0, widthOf(this.#output) - 1), this.#output)}`);
    } else {
      this.#output.write(`${line}\n`);
    }
  }

  clear(): void {
    if (this.#shown !== "" && this.#output.isTTY) this.#output.write("\r\u001b[K");
    this.#shown = "";
  }
}
