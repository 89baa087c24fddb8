// The numbers of a scrape of /metrics, by name and labels.

export class Exposition {
  readonly #rows: readonly { readonly name: string; readonly labels: string; readonly value: number }[];

  constructor(text: string) {
    this.#rows = text.split("\n").flatMap((line) => {
      const [, name, labels = "", value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      return name === undefined ? [] : [{ name, labels, value: Number(value) }];
    });
  }

  /** Over all series of that name that have the labels. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    return this.#rows
      .filter((row) => row.name === name && wanted.every((one) => `,${row.labels},`.includes(`,${one},`)))
      .reduce((sum, { value }) => sum + value, 0);
  }
}
