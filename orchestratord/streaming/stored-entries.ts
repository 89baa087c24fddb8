// Entries as the text of one record in the segment log, and the way back: a line of JSON about them, then
// their texts as they are, since escaping them twice would cost most.

/** Frames that came together. */
export interface Entry {
  readonly text: string;
  /** Set for metrics alone: what a verbose reader gets instead. */
  readonly verbose?: string | undefined;
  /** Token indexes it holds. */
  readonly count: number;
  /** All ids of its tokens, where the engine told them. */
  readonly ids?: readonly number[] | undefined;
  readonly atMs: number;
}

type Row = readonly [
  chars: number,
  count: number,
  atMs: number,
  verbose: string | null,
  ids: number[] | null,
];

export function encode(entries: readonly Entry[]): string {
  let rows = "";
  let texts = "";
  for (const { text, count, atMs, verbose, ids } of entries) {
    const more = verbose === undefined ? "null" : JSON.stringify(verbose);
    const known = ids === undefined ? "null" : `[${ids.join(",")}]`;
    rows += `${rows === "" ? "" : ","}[${text.length},${count},${atMs},${more},${known}]`;
    texts += text;
  }
  return `[${rows}]\n${texts}`;
}

export function decode(stored: string): Entry[] {
  let from = stored.indexOf("\n") + 1;
  const rows = JSON.parse(stored.slice(0, from)) as Row[];
  return rows.map(([chars, count, atMs, verbose, ids]) => {
    const text = stored.slice(from, from + chars);
    from += chars;
    return { text, count, atMs, verbose: verbose ?? undefined, ids: ids ?? undefined };
  });
}
