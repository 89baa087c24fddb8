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
  /** Resolves when everything is written; with the reason when something was not and never will be. */
  written(): Promise<NodeJS.ErrnoException | undefined>;
  /** Ends the program in the middle of what it does. */
  exit(code: number): never;
}

/** A terminal that does not know how wide it is says 0. */
export function widthOf({ columns }: Output): number {
  return columns || 80;
}

export type Style = "bold" | "dim" | "red" | "yellow" | "green";

/** Paints for a terminal, unless NO_COLOR forbids; leaves text alone for everybody else. */
export function paint(style: Style, text: string, output: Output): string {
  return output.hasColors?.() ? styleText(style, text, { validateStream: false }) : text;
}

/** `isDumb`: it can neither colour nor rewrite a line, as TERM=dumb says. */
export function processTerminal({ isDumb }: { readonly isDumb: boolean }): Terminal {
  const { stdout, stderr, stdin } = process;
  let fault: NodeJS.ErrnoException | undefined;
  stdout.on("error", (error) => {
    fault ??= error;
  });
  stderr.on("error", () => {
    // There is nobody left to tell.
  });
  return {
    out: isDumb ? plain(stdout) : stdout,
    err: isDumb ? plain(stderr) : stderr,
    input: stdin,
    written: () =>
      new Promise((resolve) => stdout.write("", (error) => resolve(fault ?? error ?? undefined))),
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

function plain(stream: NodeJS.WriteStream): Output {
  return {
    write: (text) => stream.write(text),
    once: (event, listener) => stream.once(event, listener),
    off: (event, listener) => stream.off(event, listener),
  };
}
