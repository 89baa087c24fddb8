// Traces: one span per task with one child per attempt, sent with OTLP where an endpoint is configured, and
// where that is wanted with the narration of the task. Without an endpoint nothing of this is loaded.

import type { Narration } from "@llama-orch/contract";
import type { Effect, Event } from "@llama-orch/core";
import type { Span, Tracer } from "@opentelemetry/api";
import type { TaskRecord } from "../task-record.ts";
import type { Tasks } from "../tasks.ts";
import type { Narrator } from "./narration.ts";

export interface TaskTrace {
  handled(event: Event, effects: readonly Effect[]): void;
  /** Everything ended so far is sent. @throws what the collector or the network said where it cannot be */
  close(): Promise<void>;
}

/**
 * Begins the traces of a daemon's tasks.
 * @param narrator whose sentences go along; absent where they stay here
 */
export type Tracing = (tasks: Tasks, narrator: Narrator | undefined) => TaskTrace;

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
  readonly told: string[];
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
  return (tasks, narrator) => traceTasks({ api, tracer, tasks, narrator, flush: () => provider.shutdown() });
}

interface Traced {
  readonly api: Api;
  readonly tracer: Tracer;
  readonly tasks: Tasks;
  readonly narrator: Narrator | undefined;
  flush(): Promise<void>;
}

function traceTasks({ api, tracer, tasks, narrator, flush }: Traced): TaskTrace {
  const open = new Map<string, Open>();
  /** Told of an event before what it means for the traces was looked at. */
  let early: Narration[] = [];
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
    const told = early.filter(({ job_id }) => job_id === jobId).map(({ human }) => human);
    open.set(jobId, { task: span, attempt: undefined, told });
  };

  const stopListening = narrator?.listen((narration) => {
    if (narration.job_id === undefined) return;
    const spans = open.get(narration.job_id);
    if (spans === undefined) early.push(narration);
    else spans.told.push(narration.human);
  });

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
    spans.task.setAttribute("llama_orch.tokens_out", effect.outcome.tokensOut);
    if (effect.outcome.kind === "failed") {
      spans.task.setStatus({ code: SpanStatusCode.ERROR, message: effect.outcome.code });
    }
    end(spans, nowMs);
  };

  return {
    handled(event, effects) {
      if (event.type === "FirstToken") open.get(event.jobId)?.attempt?.addEvent("first_token", event.nowMs);
      for (const effect of effects) perform(effect, event.nowMs);
      early = [];
    },
    async close() {
      stopListening?.();
      for (const spans of open.values()) end(spans);
      open.clear();
      await flush();
    },
  };
}

function end({ task, attempt, told }: Open, nowMs?: number): void {
  attempt?.end(nowMs);
  if (told.length > 0) task.setAttribute("llama_orch.narration", told);
  task.end(nowMs);
}
