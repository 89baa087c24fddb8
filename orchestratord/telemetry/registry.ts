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

type Given = Readonly<Partial<Record<LabelName, string | null | undefined>>>;

/** A metric with what its labels may hold. */
interface Bounded<T> {
  readonly metric: T;
  readonly labels: readonly LabelBudget[];
}

interface LabelBudget {
  readonly label: LabelName;
  readonly max: number;
  /** Values so far. */
  readonly seen: Set<string>;
}

/** What is counted between two scrapes, found value by value: the client would join all labels each time. */
interface Count {
  readonly byValue: Map<string, Count>;
  /** Absent on the way down. */
  labels?: Record<string, string>;
  value: number;
}

type CountedBy = Bounded<Counter> & { readonly counts: Count };

export class MetricRegistry {
  readonly #registry = new Registry();
  readonly #counters = new Map<MetricName, CountedBy>();
  readonly #gauges = new Map<MetricName, Bounded<Gauge>>();
  readonly #histograms = new Map<MetricName, Bounded<Histogram>>();
  readonly #fillers: (() => void)[] = [];

  constructor(source: MetricSource) {
    collectDefaultMetrics({ register: this.#registry });
    for (const [name, row] of Object.entries(metricTable) as [MetricName, MetricRow][]) {
      if (row.by.includes(source)) this.#register(name, row);
    }
  }

  add<M extends OfType<"counter">>(name: M, labels: Labels<M>, value = 1): void {
    const counter = this.#counters.get(name);
    if (counter === undefined) return;
    const given: Given = labels;
    let count = counter.counts;
    for (const budget of counter.labels) count = countOf(count, withinBudget(budget, given[budget.label]));
    count.labels ??= bounded(counter.labels, given);
    count.value += value;
  }

  set<M extends OfType<"gauge">>(name: M, labels: Labels<M>, value: number): void {
    const gauge = this.#gauges.get(name);
    gauge?.metric.set(bounded(gauge.labels, labels), value);
  }

  observe<M extends OfType<"histogram">>(name: M, labels: Labels<M>, value: number): void {
    const histogram = this.#histograms.get(name);
    histogram?.metric.observe(bounded(histogram.labels, labels), value);
  }

  /** Runs before each scrape, to set gauges that are read from elsewhere; `clears` are emptied before. */
  onScrape(clears: readonly OfType<"gauge">[], fill: () => void): void {
    this.#fillers.push(() => {
      for (const name of clears) this.#gauges.get(name)?.metric.reset();
      fill();
    });
  }

  async text(): Promise<string> {
    for (const fill of this.#fillers) fill();
    for (const { metric, counts } of this.#counters.values()) handOver(counts, metric);
    return this.#registry.metrics();
  }

  close(): void {
    this.#registry.clear();
  }

  #register(name: MetricName, { type, labels: names, says, buckets }: MetricRow): void {
    const common = { name, help: says, labelNames: [...names], registers: [this.#registry] };
    const labels = names.map((label) => ({ label, max: labelBudgets[label], seen: new Set<string>() }));
    if (type === "counter") {
      this.#counters.set(name, { metric: new Counter(common), labels, counts: noCount() });
    } else if (type === "gauge") this.#gauges.set(name, { metric: new Gauge(common), labels });
    else {
      const metric = new Histogram({ ...common, buckets: [...(buckets ?? [])] });
      this.#histograms.set(name, { metric, labels });
    }
  }
}

function bounded(budgets: readonly LabelBudget[], labels: Given): Record<string, string> {
  const within: Record<string, string> = {};
  for (const budget of budgets) within[budget.label] = withinBudget(budget, labels[budget.label]);
  return within;
}

function withinBudget({ max, seen }: LabelBudget, value: string | null | undefined): string {
  if (value === null || value === undefined || value === unknownLabel) return unknownLabel;
  if (seen.has(value)) return value;
  if (seen.size >= max) return overflowLabel;
  seen.add(value);
  return value;
}

const noCount = (): Count => ({ byValue: new Map(), value: 0 });

function countOf({ byValue }: Count, value: string): Count {
  let count = byValue.get(value);
  if (count === undefined) {
    count = noCount();
    byValue.set(value, count);
  }
  return count;
}

function handOver(count: Count, metric: Counter): void {
  for (const each of count.byValue.values()) handOver(each, metric);
  if (count.labels !== undefined) metric.inc(count.labels, count.value);
  count.value = 0;
}
