import assert from "node:assert/strict";
import { test } from "node:test";
import { labelBudgets, metricsLint, metricTable } from "@llama-orch/contract";
import { MetricRegistry } from "./registry.ts";

const tenantShare = (tenant: string) => ({ tenant, priority: "batch" });

test("every required series has its TYPE line before anything has happened [CHK-F-14, ORCH-3028]", async () => {
  const registry = new MetricRegistry("orchestratord");
  const text = await registry.text();
  registry.close();
  for (const { name, type } of metricsLint().required_metrics) {
    assert.match(text, new RegExp(`^# TYPE ${name} ${type}$`, "m"));
  }
});

test("a daemon registers its own series of the table and no others [OC-METRICS-7101]", async () => {
  const registry = new MetricRegistry("orchestratord");
  const text = await registry.text();
  registry.close();
  const shown = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name as string);
  const own = shown.filter((name) => !/^(process|nodejs)_/.test(name)).sort();
  const rows = Object.entries(metricTable).filter(([, row]) =>
    (row.by as readonly string[]).includes("orchestratord"),
  );
  assert.deepEqual(own, rows.map(([name]) => name).sort());
});

test("a label beyond its budget is counted as other, and nothing is lost [OC-METRICS-7102]", async () => {
  const registry = new MetricRegistry("orchestratord");
  for (let n = 0; n < labelBudgets.tenant + 50; n++) registry.set("admission_share", tenantShare(`t${n}`), n);
  const text = await registry.text();
  registry.close();
  const tenants = new Set(
    [...text.matchAll(/^admission_share\{tenant="([^"]*)"/gm)].map(([, tenant]) => tenant),
  );
  assert.equal(tenants.size, labelBudgets.tenant + 1);
  assert.ok(tenants.has("other"));
});

test("a counter shows all that was ever counted, however often it was scraped before", async () => {
  const registry = new MetricRegistry("orchestratord");
  const labels = { engine: "llamacpp", reason: "INTERNAL" };
  const shown = async () => /^tasks_rejected_total\{.*\} (\d+)$/m.exec(await registry.text())?.[1];
  assert.equal(await shown(), undefined);
  registry.add("tasks_rejected_total", labels, 0);
  assert.equal(await shown(), "0");
  registry.add("tasks_rejected_total", labels);
  registry.add("tasks_rejected_total", labels, 2);
  assert.deepEqual([await shown(), await shown()], ["3", "3"]);
  registry.add("tasks_rejected_total", labels);
  assert.equal(await shown(), "4");
  registry.close();
});

test("what is not known yet is none and takes nothing of the budget", async () => {
  const registry = new MetricRegistry("orchestratord");
  registry.add("tasks_rejected_total", { engine: null, reason: "INTERNAL" });
  const text = await registry.text();
  registry.close();
  assert.match(text, /^tasks_rejected_total\{engine="none",reason="INTERNAL"\} 1$/m);
});

test("gauges of a present state are read at the scrape, and scraping twice shows the same [CHK-H-02]", async () => {
  const registry = new MetricRegistry("orchestratord");
  let depth = 3;
  registry.onScrape(["pool_ready"], () => registry.set("pool_ready", { pool_id: `p${depth}` }, 1));
  const lines = async () =>
    (await registry.text()).split("\n").filter((line) => line.startsWith("pool_ready"));
  assert.deepEqual(await lines(), ['pool_ready{pool_id="p3"} 1']);
  assert.deepEqual(await lines(), ['pool_ready{pool_id="p3"} 1']);
  depth = 4;
  assert.deepEqual(
    await lines(),
    ['pool_ready{pool_id="p4"} 1'],
    "a pool that is gone leaves no gauge behind",
  );
  registry.close();
});

test("histograms have the buckets of the table [METRICS-BUCKETS]", async () => {
  const registry = new MetricRegistry("orchestratord");
  const labels = { engine: "llamacpp", engine_version: "v1", pool_id: "p", priority: "batch" };
  registry.observe("latency_first_token_ms", labels, 120);
  const text = await registry.text();
  registry.close();
  const bounds = [...text.matchAll(/^latency_first_token_ms_bucket\{le="([^"]+)"/gm)].map(([, le]) => le);
  assert.deepEqual(bounds, [...metricTable.latency_first_token_ms.buckets.map(String), "+Inf"]);
});
