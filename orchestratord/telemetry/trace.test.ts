// Traces of a daemon: what a collector gets, and that nothing of it is loaded where there is none.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { registerHooks } from "node:module";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { Effect, Event } from "@llama-orch/core";

const loaded: { readonly specifier: string; readonly by: string | undefined }[] = [];
registerHooks({
  resolve(specifier, context, next) {
    loaded.push({ specifier, by: context.parentURL });
    return next(specifier, context);
  },
});
// From here on every module that is loaded is known.
const { running } = await import("../fixtures/running.ts");
const { aRecord } = await import("../fixtures/records.ts");
const { Tasks } = await import("../tasks.ts");
const { Narrator } = await import("./narration.ts");
const { loadTracing } = await import("./trace.ts");

interface Text {
  readonly stringValue?: string;
}

interface Attribute {
  readonly key: string;
  readonly value: Text & { readonly arrayValue?: { readonly values: readonly Text[] } };
}

const textOf = (attributes: readonly Attribute[], wanted: string): string | undefined =>
  attributes.find(({ key }) => key === wanted)?.value.stringValue;

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly attributes: readonly Attribute[];
  readonly events: readonly { readonly name: string }[];
}

function storyOf(span: Span | undefined): (string | undefined)[] | undefined {
  const story = span?.attributes.find(({ key }) => key === "llama_orch.narration");
  return story?.value.arrayValue?.values.map(({ stringValue }) => stringValue);
}

/** A collector that takes what OTLP over HTTP sends, as JSON. */
async function collector(t: { after(run: () => Promise<void>): void }) {
  const spans: Span[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString());
    for (const { scopeSpans } of resourceSpans) for (const { spans: more } of scopeSpans) spans.push(...more);
    response.setHeader("content-type", "application/json").end("{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  return { spans, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

test("without an endpoint nothing of OpenTelemetry is loaded", async (t) => {
  const { client, log } = await running(t);
  await client.submit({ task_id: "quiet" });
  await log.ended("quiet");
  assert.ok(loaded.length > 50);
  // The metrics library asks for the bare interface by itself.
  const ours = loaded.filter(({ by }) => by?.includes("/prom-client/") !== true);
  assert.deepEqual(
    ours.filter(({ specifier }) => specifier.includes("opentelemetry")),
    [],
  );
});

test("with an endpoint each task is a span with one child per attempt, and no narration goes along [ORCH-3309]", async (t) => {
  const { spans, url } = await collector(t);
  const daemon = await running(t, {
    engines: [{ tokensPerSecond: 500 }],
    config: { telemetry: { otlp_endpoint: url } },
  });
  const { client, engines, log, stop } = daemon;
  await engines[0]?.faults({ cut_after: 5, times: 1 });
  await client.submit({ task_id: "traced", prompt: "no word of this" }, { "x-correlation-id": "followed" });
  await log.ended("traced");
  await stop();
  const [task] = spans.filter(({ name }) => name === "task");
  const attempts = spans.filter(({ name }) => name === "attempt");
  assert.equal(attempts.length, 2);
  for (const { traceId, parentSpanId } of attempts) {
    assert.deepEqual([traceId, parentSpanId], [task?.traceId, task?.spanId]);
  }
  const said = new Map(task?.attributes.map(({ key, value }) => [key, value.stringValue]));
  assert.equal(said.get("llama_orch.task_id"), "traced");
  assert.equal(said.get("llama_orch.correlation_id"), "followed");
  assert.deepEqual(
    attempts[0]?.events.map(({ name }) => name),
    ["first_token"],
  );
  assert.ok(!JSON.stringify(spans).includes("no word of this"));
  const narrated = log.all.filter(({ task_id }) => task_id === "traced").map(({ human }) => human);
  assert.ok(narrated.length >= 4);
  for (const human of narrated) assert.ok(!JSON.stringify(spans).includes(human as string), human);
});

test("where that is wanted, the span of a task carries what was told of it, in that order [ORCH-3309]", async (t) => {
  const { spans, url } = await collector(t);
  const telemetry = { otlp_endpoint: url, otlp_narration: true };
  const { client, log, stop } = await running(t, { config: { telemetry } });
  await client.submit({ task_id: "before" });
  await log.ended("before");
  await client.submit({ task_id: "told", prompt: "no word of this" });
  await log.ended("told");
  await stop();
  for (const task_id of ["before", "told"]) {
    const told = log.all.filter((line) => line.task_id === task_id && line.job_id !== undefined);
    const sentences = told.map(({ human }) => human as string);
    assert.ok(sentences.length >= 4);
    const [task] = spans.filter(({ attributes }) => textOf(attributes, "llama_orch.task_id") === task_id);
    assert.deepEqual(storyOf(task), sentences);
  }
  assert.ok(!JSON.stringify(spans).includes("no word of this"));
});

test("what is told of a task that has no span is no part of another's story", async (t) => {
  const { spans, url } = await collector(t);
  const narrator = new Narrator({ emittedBy: "o@1", nowMs: () => 0, maskUuids: false });
  const tasks = new Tasks(1000);
  const tracing = await loadTracing({ endpoint: url, service: "o", version: "1" });
  const trace = tracing(tasks, narrator);
  const tell = (job_id: string, human: string) =>
    narrator.tell({ actor: "o", action: "say", target: "task", human, job_id });
  const passes = { type: "Tick", seq: 1, nowMs: 1 } as unknown as Event;
  const accepts = { type: "AcceptTask", jobId: "mine" } as unknown as Effect;
  tasks.add(aRecord({ jobId: "mine" }));
  tell("mine", "long before");
  trace.handled(passes, []);
  tell("recovered", "somebody else's");
  tell("mine", "admitted");
  trace.handled(passes, [accepts]);
  tell("recovered", "somebody else's again");
  tell("mine", "placed");
  await trace.close();
  const [, ...others] = spans;
  assert.deepEqual([storyOf(spans[0]), others], [["admitted", "placed"], []]);
});

test("a collector that is not there holds nothing up", async (t) => {
  const { client, log, stop } = await running(t, {
    config: { telemetry: { otlp_endpoint: "http://127.0.0.1:9" } },
  });
  await client.submit({ task_id: "lost" });
  await log.ended("lost");
  const startedAtMs = performance.now();
  await stop();
  assert.ok(performance.now() - startedAtMs < 4000);
  const [trouble] = log.of("trouble");
  assert.match(JSON.stringify(trouble?.details), /ECONNREFUSED/);
});
