// What every command is handed: the terminal, the client of the installation that was named, and whether
// results are for a person or for a program.

import type { Client } from "@llama-orch/sdk";
import type { Settings } from "./config.ts";
import { type Column, tableText } from "./print/table.ts";
import { paint, type Terminal, widthOf } from "./terminal.ts";

export interface Context {
  readonly terminal: Terminal;
  readonly settings: Settings;
  readonly json: boolean;
  /** Made at the first use, so that commands that ask nobody need no address. */
  client(): Client;
}

/** The result of a command: one JSON document, or what a person reads. */
export function print({ json, terminal }: Context, value: unknown, text: () => string): void {
  terminal.out.write(json ? `${JSON.stringify(value)}\n` : text());
}

/** As wide as the terminal, and as wide as it needs to be for a file. */
export function printTable<Row>(
  { terminal }: Context,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
) {
  const { out } = terminal;
  return tableText(columns, rows, {
    widthMax: out.isTTY ? widthOf(out) : undefined,
    paintTitle: (text) => paint("dim", text, out),
  });
}
