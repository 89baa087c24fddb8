// What a command may see and write: the two outputs, the input, and a person's Ctrl-C. Colours and lines that
// rewrite themselves belong on a terminal only.

import { styleText } from "node:util";

export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  /** Only terminals have it; NO_COLOR makes it false. */
  hasColors?(): boolean;
  write(text: string): boolean;
  once(event: "drain", listener: () => void): unknown;
  off(event: "drain", listener: () => void): unknown;
}

export interface Terminal {
  readonly out: Output;
  readonly err: Output;
  readonly input: AsyncIterable<string | Uint8Array> & { readonly isTTY?: boolean };
  /**
   * Calls back at each Ctrl-C or SIGTERM, and once when the reader of the output has gone, until the returned
   * function is called.
   */
  onInterrupt(listener: () => void): () => void;
  /** Ends the program in the middle of what it does. */
  exit(code: number): never;
}

export type Style = "bold" | "dim" | "red" | "yellow" | "green";

/** Paints for a terminal, unless NO_COLOR forbids; leaves text alone for everybody else. */
export function paint(style: Style, text: string, output: Output): string {
  return output.hasColors?.() ? styleText(style, text, { validateStream: false }) : text;
}

export function processTerminal(): Terminal {
  const { stdout, stderr, stdin } = process;
  // A reader that has seen enough (`llorch tasks | head`) is no error; any other one is said.
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") stderr.write(`llorch: The output cannot be written: ${error.message}.\n`);
  });
  return {
    out: stdout,
    err: stderr,
    input: stdin,
    exit: (code) => process.exit(code),
    onInterrupt(listener) {
      process.on("SIGINT", listener).on("SIGTERM", listener);
      stdout.once("error", listener);
      return () => {
        process.off("SIGINT", listener).off("SIGTERM", listener);
        stdout.off("error", listener);
      };
    },
  };
}
