// How the values of a long time were spread, to the twenty-fourth of that time and to a fiftieth of a value,
// so that it takes the same little room however many there were.

/** The values of one part of the time, by their size. */
interface Slice {
  readonly index: number;
  readonly bins: Map<number, Bin>;
}

interface Bin {
  count: number;
  /** Speaks for the bin: few values are told exactly, and many by less than a step too much. */
  most: number;
}

const slicesPerLength = 24;

/** From one bin to the next. Values that lie a thousandfold apart have 350 bins between them. */
const step = Math.log(1.02);

export class CoarseWindow {
  readonly #sliceMs: number;
  readonly #nowMs: () => number;
  #slices: Slice[] = [];

  constructor(lengthMs: number, nowMs: () => number) {
    this.#sliceMs = lengthMs / slicesPerLength;
    this.#nowMs = nowMs;
  }

  /** @param value above 0 */
  add(value: number): void {
    const { bins } = this.#current();
    const bin = Math.round(Math.log(value) / step);
    const known = bins.get(bin);
    if (known === undefined) bins.set(bin, { count: 1, most: value });
    else {
      known.count++;
      known.most = Math.max(known.most, value);
    }
  }

  /** Null while the window is empty. */
  percentile(share: number): number | null {
    this.#forget();
    const bins = new Map<number, Bin>();
    let count = 0;
    for (const slice of this.#slices) {
      for (const [bin, { count: more, most }] of slice.bins) {
        const known = bins.get(bin);
        bins.set(bin, { count: more + (known?.count ?? 0), most: Math.max(most, known?.most ?? 0) });
        count += more;
      }
    }
    let left = Math.min(count - 1, Math.floor(share * count));
    for (const [, bin] of [...bins].sort(([a], [b]) => a - b)) {
      if (left < bin.count) return bin.most;
      left -= bin.count;
    }
    return null;
  }

  #current(): Slice {
    this.#forget();
    const index = this.#indexNow();
    const known = this.#slices.find((slice) => slice.index === index);
    if (known !== undefined) return known;
    const slice = { index, bins: new Map<number, Bin>() };
    this.#slices.push(slice);
    return slice;
  }

  /** The slice that is begun is one more than the window is long, so nothing goes before its time. */
  #forget(): void {
    const oldest = this.#indexNow() - slicesPerLength;
    this.#slices = this.#slices.filter(({ index }) => index >= oldest);
  }

  #indexNow(): number {
    return Math.floor(this.#nowMs() / this.#sliceMs);
  }
}
