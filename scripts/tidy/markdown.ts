// What the document rules read from Markdown: code spans, relative links, tables and drawings, with line
// numbers. A reader of lines, not a Markdown engine; fenced blocks are never mistaken for prose.

export type Found = { value: string; line: number };
export type Row = { cells: string[]; line: number };
export type Table = { header: string[]; rows: Row[] };

type Line = { text: string; line: number; fenced: boolean };

export function codeSpans(text: string): Found[] {
  return prose(text).flatMap(({ text: line, line: number }) =>
    [...line.matchAll(/`([^`]+)`/g)].map((match) => ({ value: match[1] ?? "", line: number })),
  );
}

export function links(text: string): Found[] {
  return prose(text).flatMap(({ text: line, line: number }) =>
    [...line.replace(/`[^`]*`/g, "``").matchAll(/\]\(([^()\s]+)(?:\s+"[^"]*")?\)/g)].map((match) => ({
      value: match[1] ?? "",
      line: number,
    })),
  );
}

/** The lines inside fences: drawings and listings. */
export function fencedLines(text: string): Found[] {
  return linesOf(text)
    .filter(({ fenced }) => fenced)
    .map(({ text: value, line }) => ({ value, line }));
}

export function headings(text: string): Found[] {
  return prose(text)
    .filter(({ text: line }) => /^#+ /.test(line))
    .map(({ text: line, line: number }) => ({ value: line.replace(/^#+ +/, ""), line: number }));
}

export function tables(text: string): Table[] {
  const found: Table[] = [];
  let previous: Line | undefined;
  let table: Table | undefined;
  for (const line of prose(text)) {
    const isRow = line.text.trimStart().startsWith("|");
    if (!isRow) table = undefined;
    else if (table) table.rows.push({ cells: cellsOf(line.text), line: line.line });
    else if (previous && /^[\s|:-]+$/.test(line.text)) {
      table = { header: cellsOf(previous.text), rows: [] };
      found.push(table);
    }
    previous = line;
  }
  return found;
}

function cellsOf(line: string): string[] {
  const inner = line.trim().replace(/^\|/, "").replace(/\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim());
}

function prose(text: string): Line[] {
  return linesOf(text).filter(({ fenced }) => !fenced);
}

function linesOf(text: string): Line[] {
  let fenced = false;
  const lines: Line[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const isFence = /^\s*(```|~~~)/.test(line);
    if (isFence) fenced = !fenced;
    else lines.push({ text: line, line: index + 1, fenced });
  }
  return lines;
}
