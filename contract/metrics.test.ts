import assert from "node:assert/strict";
import { test } from "node:test";
import { labelBudgets, type MetricRow, metricsLint, metricTable } from "./metrics.ts";

const rows: [string, MetricRow][] = Object.entries(metricTable);

test("a scrape must always show the twenty-one series of the lint file", () => {
  assert.equal(metricsLint().required_metrics.length, 21);
});

test("latency is counted in the agreed buckets [METRICS-BUCKETS]", () => {
  assert.deepEqual(
    metricTable.latency_first_token_ms.buckets,
    [50, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000],
  );
  assert.deepEqual(
    metricTable.latency_decode_ms.buckets,
    [250, 500, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 12_000],
  );
});

test("a histogram has rising buckets and nothing else has any", () => {
  for (const [name, { type, buckets }] of rows) {
    assert.equal(buckets !== undefined, type === "histogram", name);
    assert.deepEqual(buckets, buckets && [...new Set(buckets)].sort((a, b) => a - b), name);
  }
});

test("names follow the conventions of Prometheus", () => {
  for (const [name, { type, labels }] of rows) {
    assert.match(name, /^[a-z][a-z0-9_]*$/);
    if (type === "counter") assert.match(name, /_total$/);
    assert.equal(new Set(labels).size, labels.length, name);
  }
});

test("every label has a budget and every budget a label", () => {
  const used = new Set(rows.flatMap(([, { labels }]) => labels));
  assert.deepEqual([...used].sort(), Object.keys(labelBudgets).sort());
});

test("a refused task met no engine, so its counter has no engine_version", () => {
  assert.deepEqual(metricTable.tasks_rejected_total.labels, ["engine", "reason"]);
});
