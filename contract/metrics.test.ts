import assert from "node:assert/strict";
import { test } from "node:test";
import { labelBudgets, type MetricName, type MetricRow, metricsLint, metricTable } from "./metrics.ts";

const rows: [string, MetricRow][] = Object.entries(metricTable);

const replica = "engine, engine_version, pool_id, replica_id";
const pool = "engine, engine_version, pool_id, priority";

/** Dashboards are built on these; a change here breaks them. */
const required = [
  ["tasks_enqueued_total", "counter", `${replica}, priority`],
  ["tasks_started_total", "counter", `${replica}, priority`],
  ["tasks_canceled_total", "counter", `${replica}, reason`],
  ["tasks_rejected_total", "counter", "engine, reason"],
  ["admission_backpressure_events_total", "counter", "engine, policy"],
  ["tokens_in_total", "counter", replica],
  ["tokens_out_total", "counter", replica],
  ["catalog_verifications_total", "counter", "result, reason, engine"],
  ["placement_decisions_total", "counter", "outcome, pinned, fallback"],
  ["preemptions_total", "counter", "mode, engine"],
  ["resumptions_total", "counter", "engine"],
  ["queue_depth", "gauge", pool],
  ["kv_cache_usage_ratio", "gauge", replica],
  ["gpu_utilization", "gauge", `${replica}, device`],
  ["vram_used_bytes", "gauge", `${replica}, device`],
  ["model_state", "gauge", "model_id, state"],
  ["admission_share", "gauge", "tenant, priority"],
  ["deadlines_met_ratio", "gauge", "priority"],
  ["placement_candidates_considered", "gauge", ""],
  ["latency_first_token_ms", "histogram", pool],
  ["latency_decode_ms", "histogram", pool],
];

test("a scrape must always show these twenty-one series, of these types and with these labels", () => {
  const found = metricsLint().required_metrics.map(({ name, type, labels }) => [
    name,
    type,
    labels.join(", "),
  ]);
  assert.deepEqual(found, required);
  assert.equal(required.length, 21);
});

test("each label may have so many values and no more", () => {
  assert.deepEqual(metricsLint().label_cardinality_budget, {
    device: 64,
    engine: 4,
    engine_version: 64,
    fallback: 2,
    kind: 4,
    mode: 4,
    model_id: 1024,
    node_id: 256,
    objective: 4,
    outcome: 4,
    pinned: 2,
    policy: 8,
    pool_id: 256,
    priority: 8,
    reason: 24,
    replica_id: 1024,
    result: 4,
    state: 8,
    tenant: 256,
  });
});

test("what an alert asks about lies inside the buckets of its histogram", () => {
  const asked = { pool_handoff_processing_duration_ms: 2000, orchd_pool_health_check_duration_ms: 100 };
  for (const [name, limitMs] of Object.entries(asked)) {
    const { buckets = [] } = metricTable[name as MetricName] as MetricRow;
    assert.ok(buckets.includes(limitMs), name);
    assert.ok((buckets.at(-1) ?? 0) >= 2.5 * limitMs, name);
  }
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
