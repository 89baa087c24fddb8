// Rows as aligned columns. On a terminal no line is wider than it: the widest columns give way, and what is
// cut says so with an ellipsis. Text of other people cannot steer the terminal.

import { safeText } from "./safe-text.ts";

export interface Column<Row> {
  readonly title: string;
  readonly of: (row: Row) => string | number;
  /** Painted after it was padded, so that colours do not count as width. */
  readonly paint?: (text: string, row: Row) => string;
}

const gap = "  ";
/** No column is cut below this. */
const columnMin = 8;

export function tableText<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  options: { readonly widthMax?: number | undefined; readonly paintTitle?: (text: string) => string } = {},
): string {
  const cells = rows.map((row) => columns.map(({ of }) => safeText(String(of(row)))));
  const isNumber = columns.map(({ of }) => rows.some((row) => typeof of(row) === "number"));
  const widths = columns.map(({ title }, at) =>
    Math.max(title.length, ...cells.map((line) => widthOf(line[at] ?? ""))),
  );
  narrow(widths, options.widthMax);
  const pad = (text: string, at: number) => fit(text, widths[at] ?? 0, isNumber[at] ?? false);
  const { paintTitle = (text: string) => text } = options;
  const lines = [paintTitle(columns.map(({ title }, at) => pad(title, at)).join(gap))];
  for (const [index, row] of rows.entries()) {
    const line = columns.map(({ paint }, at) => {
      const text = pad(cells[index]?.[at] ?? "", at);
      return paint === undefined ? text : paint(text, row);
    });
    lines.push(line.join(gap));
  }
  return `${lines.map((line) => line.trimEnd()).join("\n")}\n`;
}

/** Takes from the widest column until the line fits. */
function narrow(widths: number[], widthMax = Number.POSITIVE_INFINITY): void {
  const total = () => widths.reduce((sum, width) => sum + width, gap.length * (widths.length - 1));
  while (total() > widthMax) {
    const widest = widths.indexOf(Math.max(...widths));
    if ((widths[widest] ?? 0) <= columnMin) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
}

function fit(text: string, width: number, right: boolean): string {
  const cut = widthOf(text) > width ? `${clip(text, width - 1)}…` : text;
  const blank = " ".repeat(Math.max(0, width - widthOf(cut)));
  return right ? blank + cut : cut + blank;
}

const wide = /\p{Emoji_Presentation}/u;
const wideByRange = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]/;

/** Columns that a text takes; wide characters take two. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += charWidth(character);
  return width;
}

function clip(text: string, width: number): string {
  let used = 0;
  let kept = "";
  for (const character of text) {
    used += charWidth(character);
    if (used > width) break;
    kept += character;
  }
  return kept;
}

function charWidth(character: string): number {
  if (/\p{Mark}|\u200d|\ufe0f/u.test(character)) return 0;
  return wideByRange.test(character) || wide.test(character) ? 2 : 1;
}
