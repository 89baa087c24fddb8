// The metrics of a daemon with traffic, held against the table of the contract as a scraper sees them.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { labelBudgets, type MetricRow, metricsLint, metricTable } from "@llama-orch/contract";
import { running } from "../fixtures/running.ts";

const tenants = [
  { id: "a", weight: 3 },
  { id: "b", weight: 1 },
];
const { client, engines, log } = await running(
  { after },
  { engines: [{}, {}], pool: { admission: { fairness: { tenants } } } },
);
await traffic();

/** A little of everything: done, canceled, refused, lost and gone on. */
async function traffic(): Promise<void> {
  for (const tenant_id of ["a", "b"]) {
    await client.submit({ task_id: `done-${tenant_id}`, session_id: tenant_id, tenant_id });
    await log.ended(`done-${tenant_id}`);
  }
  await client.submit({ task_id: "batch", session_id: "batch", priority: "batch" });
  await log.ended("batch");
  await client.submit({ task_id: "vector", session_id: "vector", workload: "embedding" });
  await log.ended("vector");
  await Promise.all(engines.map((engine) => engine.faults({ stall_after: 1, times: 1 })));
  await client.submit({ task_id: "canceled", session_id: "canceled" });
  await (await client.follow("canceled")).tokens(1);
  await client.cancel("canceled");
  await Promise.all(engines.map((engine) => engine.faults()));
  await client.submit({ model_ref: "unknown" });
}

interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Exposition {
  readonly types: ReadonlyMap<string, string>;
  readonly series: readonly Series[];
  readonly own: string;
}

/** Read by the grammar of the text format, and not by what our writer does. */
async function scrape(): Promise<Exposition> {
  const { body, headers } = await client.get("/metrics");
  assert.match(headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  const types = new Map<string, string>();
  const series: Series[] = [];
  const own: string[] = [];
  for (const line of (body as string).split("\n").filter((each) => each !== "")) {
    const type = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(line);
    if (type !== null) types.set(type[1] as string, type[2] as string);
    if (line.startsWith("#")) continue;
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    assert.ok(sample, `"${line}" is no sample`);
    const [, name = "", labels = "", value] = sample;
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text]);
    series.push({ name, labels: Object.fromEntries(pairs), value: Number(value) });
    if (!/^(process|nodejs)_/.test(name)) own.push(line);
  }
  return { types, series, own: own.join("\n") };
}

const rows: Readonly<Record<string, MetricRow>> = metricTable;
const bare = (name: string) => name.replace(/_(bucket|sum|count)$/, "");
const rowOf = (name: string): MetricRow | undefined => rows[name] ?? rows[bare(name)];

test(
  "a live scrape has the names, types and labels of the table, within their budgets " +
    "[CHK-H-05, BDD-41, ORCH-3282, OC-METRICS-7101, OC-METRICS-7102]",
  async (t) => {
    const { types, series } = await scrape();
    for (const { name, type } of metricsLint().required_metrics) assert.equal(types.get(name), type, name);
    const seen = new Map<string, Set<string>>();
    for (const { name, labels } of series) {
      if (/^(process|nodejs)_/.test(name)) continue;
      const row = rowOf(name);
      assert.ok(row, `${name} is not in the table`);
      const { le: _bound, ...own } = labels;
      assert.deepEqual(Object.keys(own).sort(), [...row.labels].sort(), name);
      for (const [label, value] of Object.entries(own)) {
        const key = `${bare(name)} ${label}`;
        seen.set(key, (seen.get(key) ?? new Set()).add(value));
      }
    }
    for (const [key, values] of seen) {
      const label = key.split(" ")[1] as keyof typeof labelBudgets;
      // `none` and `other` come on top.
      const counted = [...values].filter((value) => value !== "none" && value !== "other").length;
      t.diagnostic(`${key}: ${counted} of ${labelBudgets[label]}`);
      assert.ok(counted <= labelBudgets[label], `${key} has ${counted} values`);
    }
  },
);

test("scraping changes nothing [CHK-H-02]", async () => {
  const { own } = await scrape();
  assert.equal((await scrape()).own, own);
});

const value = (series: readonly Series[], name: string, labels: Readonly<Record<string, string>> = {}) =>
  series
    .filter((one) => one.name === name)
    .filter((one) => Object.entries(labels).every(([label, text]) => one.labels[label] === text))
    .reduce((sum, one) => sum + one.value, 0);

test(
  "every ending is counted where it belongs, and latencies once per stream that had a token " +
    "[CHK-H-04, OC-CTRL-2051]",
  async () => {
    const { series } = await scrape();
    assert.equal(value(series, "tasks_enqueued_total", { priority: "interactive" }), 4);
    assert.equal(value(series, "tasks_enqueued_total", { priority: "batch" }), 1);
    assert.equal(value(series, "tasks_started_total"), 5);
    assert.equal(value(series, "tasks_canceled_total", { reason: "client" }), 1);
    assert.equal(value(series, "tasks_rejected_total", { reason: "POOL_UNAVAILABLE" }), 1);
    assert.equal(value(series, "placement_decisions_total", { outcome: "assigned", pinned: "false" }), 5);
    assert.equal(value(series, "placement_decisions_total", { outcome: "no_capacity" }), 1);
    assert.equal(value(series, "placement_candidates_considered"), 2);
    assert.equal(value(series, "tokens_out_total"), 3 * 8 + 1);
    assert.ok(value(series, "tokens_in_total") >= 3);
    // The embedding had no token.
    assert.equal(value(series, "latency_first_token_ms_count"), 4);
    assert.equal(value(series, "latency_decode_ms_count"), 4);
    assert.equal(value(series, "predicted_start_error_ms_count"), 5);
    assert.equal(value(series, "queue_depth"), 0);
    assert.equal(value(series, "active_leases"), 0);
    assert.equal(value(series, "pool_ready"), 2);
    assert.equal(value(series, "slo_attainment_ratio", { priority: "interactive", objective: "errors" }), 1);
  },
);

test("the state of a model is 1 for the one it is in and 0 for its others", async () => {
  const { series } = await scrape();
  const states = series.filter(({ name, labels }) => name === "model_state" && labels.model_id === "haiku");
  assert.deepEqual(Object.fromEntries(states.map(({ labels, value: is }) => [labels.state, is])), {
    Draft: 0,
    Active: 1,
    Canary: 0,
    Deprecated: 0,
    Retired: 0,
  });
});

test("shares of dispatched work add up to one, over the tenants and classes that had any", async () => {
  const { series } = await scrape();
  const shares = series.filter(({ name }) => name === "admission_share");
  assert.deepEqual(shares.map(({ labels }) => `${labels.tenant} ${labels.priority}`).sort(), [
    "a interactive",
    "b interactive",
    "default batch",
    "default interactive",
  ]);
  assert.ok(Math.abs(shares.reduce((sum, { value: share }) => sum + share, 0) - 1) < 1e-9);
  // Equal tasks, one a little after the other.
  const [a, b] = ["a", "b"].map((tenant) => value(series, "admission_share", { tenant })) as [number, number];
  assert.ok(a > 0 && Math.abs(a - b) < 0.01, `${a} ${b}`);
});
