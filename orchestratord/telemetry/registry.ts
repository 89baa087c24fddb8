// The series of a daemon, made from the contract's table and from nothing else. It keeps each label within
// its budget, so that no caller can make the exposition grow without bound.

import {
  type LabelName,
  type LabelOf,
  labelBudgets,
  type MetricName,
  type MetricRow,
  type MetricSource,
  metricTable,
  overflowLabel,
  unknownLabel,
} from "@llama-orch/contract";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

type OfType<T extends MetricRow["type"]> = {
  [M in MetricName]: (typeof metricTable)[M]["type"] extends T ? M : never;
}[MetricName];

/** A value that is not known yet is `none`. */
export type Labels<M extends MetricName> = Readonly<Record<LabelOf<M>, string | null | undefined>>;

export class MetricRegistry {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, Histogram>();
  /** Values seen so far, by metric and label. */
  readonly #seen = new Map<string, Set<string>>();
  readonly #fillers: (() => void)[] = [];

  constructor(source: MetricSource) {
    collectDefaultMetrics({ register: this.#registry });
    for (const [name, row] of Object.entries(metricTable) as [MetricName, MetricRow][]) {
      if (row.by.includes(source)) this.#register(name, row);
    }
  }

  add<M extends OfType<"counter">>(name: M, labels: Labels<M>, value = 1): void {
    this.#counters.get(name)?.inc(this.#bounded(name, labels), value);
  }

  set<M extends OfType<"gauge">>(name: M, labels: Labels<M>, value: number): void {
    this.#gauges.get(name)?.set(this.#bounded(name, labels), value);
  }

  observe<M extends OfType<"histogram">>(name: M, labels: Labels<M>, value: number): void {
    this.#histograms.get(name)?.observe(this.#bounded(name, labels), value);
  }

  /** Runs before each scrape, to set gauges that are read from elsewhere; `clears` are emptied before. */
  onScrape(clears: readonly OfType<"gauge">[], fill: () => void): void {
    this.#fillers.push(() => {
      for (const name of clears) this.#gauges.get(name)?.reset();
      fill();
    });
  }

  async text(): Promise<string> {
    for (const fill of this.#fillers) fill();
    return this.#registry.metrics();
  }

  close(): void {
    this.#registry.clear();
  }

  #register(name: MetricName, { type, labels, says, buckets }: MetricRow): void {
    const common = { name, help: says, labelNames: [...labels], registers: [this.#registry] };
    if (type === "counter") this.#counters.set(name, new Counter(common));
    else if (type === "gauge") this.#gauges.set(name, new Gauge(common));
    else this.#histograms.set(name, new Histogram({ ...common, buckets: [...(buckets ?? [])] }));
  }

  #bounded<M extends MetricName>(name: M, labels: Labels<M>): Record<string, string> {
    const bounded: Record<string, string> = {};
    for (const label of metricTable[name].labels as readonly LabelOf<M>[]) {
      bounded[label] = this.#withinBudget(name, label, labels[label] ?? unknownLabel);
    }
    return bounded;
  }

  #withinBudget(name: MetricName, label: LabelName, value: string): string {
    if (value === unknownLabel) return value;
    const key = `${name} ${label}`;
    let seen = this.#seen.get(key);
    if (seen === undefined) {
      seen = new Set();
      this.#seen.set(key, seen);
    }
    if (seen.has(value)) return value;
    if (seen.size >= labelBudgets[label]) return overflowLabel;
    seen.add(value);
    return value;
  }
}
