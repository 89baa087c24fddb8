// Which of the records that an earlier process left make up its streams. A log holds a text more than once:
// frames are written as they come and again when many of them become one record, and records move. What was
// written last of a place is what counted last.

import { beginning, type Stretch } from "./segment-record.ts";

export interface Survivor {
  readonly stretch: Stretch;
}

export class Survivors<S extends Survivor> {
  /** By place, and the newest first at the same one. */
  readonly #byLabel = new Map<string, S[]>();

  /** In the order in which they were written. */
  add(survivor: S): void {
    const { label, at, end } = survivor.stretch;
    const known = this.#byLabel.get(label);
    if (known === undefined) {
      this.#byLabel.set(label, [survivor]);
      return;
    }
    const first = firstFrom(known, at);
    let within = first;
    while (within < known.length && (known[within] as S).stretch.end <= end) within++;
    known.splice(first, within - first, survivor);
  }

  /**
   * Each stream from its first place on, as far as nothing is missing. A record belongs to it only if the
   * digest it was written after is that of the text before it: beyond a gap may stand what an even earlier
   * process wrote, which this stream then went past in another way.
   */
  *chains(): Generator<readonly [label: string, chain: readonly S[]]> {
    for (const [label, survivors] of this.#byLabel) {
      const chain = chainOf(survivors);
      if (chain.length > 0) yield [label, chain];
    }
  }
}

function chainOf<S extends Survivor>(survivors: readonly S[]): S[] {
  const chain: S[] = [];
  let place = 0;
  let { lanes } = beginning;
  for (;;) {
    const next = follower(survivors, place, lanes);
    if (next === undefined) return chain;
    chain.push(next);
    place = next.stretch.end;
    lanes = next.stretch.after.lanes;
  }
}

function follower<S extends Survivor>(
  survivors: readonly S[],
  place: number,
  [a, b]: Stretch["before"],
): S | undefined {
  for (let n = firstFrom(survivors, place); n < survivors.length; n++) {
    const { at, before } = (survivors[n] as S).stretch;
    if (at !== place) return undefined;
    if (before[0] === a && before[1] === b) return survivors[n];
  }
  return undefined;
}

function firstFrom(survivors: readonly Survivor[], place: number): number {
  let low = 0;
  let high = survivors.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((survivors[middle] as Survivor).stretch.at < place) low = middle + 1;
    else high = middle;
  }
  return low;
}
