// Traces: one span per task with one child per attempt, sent with OTLP where an endpoint is configured.
// Without one nothing of this is loaded.

import type { Effect, Event } from "@llama-orch/core";
import type { Span, Tracer } from "@opentelemetry/api";
import type { TaskRecord } from "../task-record.ts";
import type { Tasks } from "../tasks.ts";

export interface TaskTrace {
  handled(event: Event, effects: readonly Effect[]): void;
  /** Everything ended so far is sent. @throws what the collector or the network said where it cannot be */
  close(): Promise<void>;
}

/** Begins the traces of a daemon's tasks. */
export type Tracing = (tasks: Tasks) => TaskTrace;

export interface TracingOptions {
  readonly endpoint: string;
  readonly service: string;
  readonly version: string;
}

/** A collector that does not answer holds up a stop for so long at most. */
const timeoutMillis = 2000;

type Api = typeof import("@opentelemetry/api");

interface Open {
  readonly task: Span;
  attempt: Span | undefined;
}

export async function loadTracing({ endpoint, service, version }: TracingOptions): Promise<Tracing> {
  const [api, { BatchSpanProcessor, TracerProvider }, { OTLPTraceExporter }, { resourceFromAttributes }] =
    await Promise.all([
      import("@opentelemetry/api"),
      import("@opentelemetry/sdk-trace"),
      import("@opentelemetry/exporter-trace-otlp-http"),
      import("@opentelemetry/resources"),
    ]);
  const url = `${endpoint.replace(/\/$/, "")}/v1/traces`;
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": service, "service.version": version }),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url, timeoutMillis }) })],
  });
  const tracer = provider.getTracer(service, version);
  return (tasks) => traceTasks(api, tracer, tasks, () => provider.shutdown());
}

function traceTasks(api: Api, tracer: Tracer, tasks: Tasks, flush: () => Promise<void>): TaskTrace {
  const open = new Map<string, Open>();
  const { trace, ROOT_CONTEXT, SpanStatusCode } = api;

  const begin = (record: TaskRecord): void => {
    const { task, jobId, correlationId, submittedAtMs } = record;
    const attributes = {
      "llama_orch.job_id": jobId,
      "llama_orch.task_id": task.taskId,
      "llama_orch.session_id": task.sessionId,
      "llama_orch.model_ref": task.modelRef,
      "llama_orch.priority": task.priority,
      "llama_orch.correlation_id": correlationId,
    };
    const span = tracer.startSpan("task", { startTime: submittedAtMs, attributes }, ROOT_CONTEXT);
    open.set(jobId, { task: span, attempt: undefined });
  };

  const perform = (effect: Effect, nowMs: number): void => {
    if (effect.type === "AcceptTask") {
      const record = tasks.job(effect.jobId);
      if (record !== undefined) begin(record);
      return;
    }
    if (effect.type === "DispatchAttempt") {
      const spans = open.get(effect.jobId);
      if (spans === undefined) return;
      spans.attempt?.end(nowMs);
      const attributes = { "llama_orch.pool_id": effect.poolId, "llama_orch.replica_id": effect.replicaId };
      const context = trace.setSpan(ROOT_CONTEXT, spans.task);
      spans.attempt = tracer.startSpan("attempt", { startTime: nowMs, attributes }, context);
      return;
    }
    if (effect.type !== "EndTask") return;
    const spans = open.get(effect.jobId);
    if (spans === undefined) return;
    open.delete(effect.jobId);
    spans.attempt?.end(nowMs);
    spans.task.setAttribute("llama_orch.tokens_out", effect.outcome.tokensOut);
    if (effect.outcome.kind === "failed") {
      spans.task.setStatus({ code: SpanStatusCode.ERROR, message: effect.outcome.code });
    }
    spans.task.end(nowMs);
  };

  return {
    handled(event, effects) {
      if (event.type === "FirstToken") open.get(event.jobId)?.attempt?.addEvent("first_token", event.nowMs);
      for (const effect of effects) perform(effect, event.nowMs);
    },
    async close() {
      for (const { task, attempt } of open.values()) {
        attempt?.end();
        task.end();
      }
      open.clear();
      await flush();
    },
  };
}
