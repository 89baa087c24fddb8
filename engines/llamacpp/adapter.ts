// Speaks llama-server's own wire: /health, /props, /slots, the native completion stream, templates, tokens,
// embeddings and reranks. Our embedded process speaks it too. Cancelling is closing the connection; there is
// no other way. Knows nothing of tasks, and never asks twice for an attempt.

import type { TaskBody } from "@llama-orch/contract";
import type {
  Adapter,
  AttemptRequest,
  EngineAddress,
  EngineHealth,
  EngineProps,
  TokenBatch,
} from "../adapter.ts";
import { lost } from "../fault.ts";
import { HttpClient, httpLimits, type PlainAnswer, type Retry } from "../http/http-client.ts";
import { HttpFailure } from "../http/http-failure.ts";
import type { HttpStream } from "../http/http-stream.ts";
import { readEvents } from "../sse.ts";
import { completionBody } from "./completion-body.ts";
import { CompletionFrames, endsInsideStop, type ReadFrames } from "./completion-frames.ts";
import { parseUpstream, toEngineError, upstreamError } from "./failures.ts";
import { engineProps, featuresIn } from "./server-props.ts";
import { embeddingCall, rerankCall, type VectorCall } from "./vectors.ts";

/** 2048 vectors of 4096 numbers as JSON. */
const vectorBytesMax = 128 << 20;
const errorBytesMax = 1 << 20;

export interface LlamacppOptions {
  readonly seed: number;
  readonly onRetry?: (retry: Retry) => void;
  readonly proxyUrl?: string | undefined;
}

export function llamacppAdapter(address: EngineAddress, options: LlamacppOptions): Adapter {
  const { url, apiKey } = address;
  const http = new HttpClient({ ...options, url, ...(apiKey !== undefined && { apiKey }) });
  const server: Server = { http, totalMs: httpLimits.totalMs, idempotent: true };
  return {
    health: (signal) => health(http, signal),
    props: (signal) => translated(signal, http, () => props(server, signal)),
    submit: (attempt, signal) => submit(http, attempt, signal),
    countTokens: (body, signal) => translated(signal, http, () => countTokens(server, body, signal)),
    close: () => http.close(),
  };
}

/** How plain calls are made: on their own they are tried again, as part of an attempt they are not. */
interface Server {
  readonly http: HttpClient;
  readonly totalMs: number;
  readonly idempotent: boolean;
}

async function health(http: HttpClient, signal: AbortSignal): Promise<EngineHealth> {
  try {
    const { status } = await http.call({ method: "GET", path: "/health", idempotent: false }, signal);
    return { live: true, ready: status === 200 };
  } catch (error) {
    // Whatever went wrong, nobody answered.
    const said = error instanceof HttpFailure ? { error: http.redact(error.message) } : {};
    return { live: false, ready: false, ...said };
  }
}

async function props(server: Server, signal: AbortSignal): Promise<EngineProps> {
  const wire = (await get(server, "/props", signal)) as Record<string, unknown>;
  const slots = await server.http.call({ method: "GET", path: "/slots", idempotent: true }, signal);
  const list = slots.status === 200 ? jsonOf(slots, server.http) : undefined;
  const features = featuresIn(wire) ?? (await probedFeatures(server, signal));
  return engineProps(wire, Array.isArray(list) ? list : undefined, features);
}

/** llama-server does not list what it offers, but says 501 before it looks at a body. */
async function probedFeatures({ http }: Server, signal: AbortSignal): Promise<readonly string[]> {
  const features = ["completion", "interruptible_decode", "json_schema"];
  for (const [feature, path] of [
    ["embedding", "/v1/embeddings"],
    ["rerank", "/v1/rerank"],
  ] as const) {
    const { status } = await http.call({ method: "POST", path, body: {}, idempotent: false }, signal);
    if (status === 400) features.push(feature);
  }
  return features;
}

async function* submit(
  http: HttpClient,
  attempt: AttemptRequest,
  signal: AbortSignal,
): AsyncGenerator<TokenBatch> {
  try {
    if (attempt.workload === "completion") yield* complete(http, attempt, signal);
    else {
      const call = attempt.workload === "embedding" ? embeddingCall(attempt.body) : rerankCall(attempt.body);
      yield await vectors(http, call, attempt, signal);
    }
  } catch (error) {
    throw toEngineError(error, signal, http.redact);
  }
}

async function* complete(
  http: HttpClient,
  attempt: AttemptRequest,
  signal: AbortSignal,
): AsyncGenerator<TokenBatch> {
  const { firstTokenMs, idleMs } = attempt;
  const totalMs = Math.min(httpLimits.totalMs, firstTokenMs);
  const server: Server = { http, totalMs, idempotent: false };
  const startedAt = performance.now();
  const prompt = await promptOf(server, attempt, signal);
  const leftMs = Math.max(1, firstTokenMs - (performance.now() - startedAt));
  const stream = await http.open("/completion", completionBody(attempt, prompt), leftMs, signal);
  await assertOk(stream, http);
  const reader = new CompletionFrames(http.redact);
  let tokens = 0;
  for await (const events of readEvents(stream)) {
    // Comments keep the connection alive, not the attempt.
    if (events.length === 0) continue;
    const { heldIds, ...batch } = reader.read(events);
    if (batch.end !== undefined) {
      yield await withHeldText(server, attempt, { ...batch, end: batch.end }, heldIds, signal);
      return;
    }
    if (batch.tokens === tokens) continue;
    tokens = batch.tokens;
    stream.expectWithin(idleMs);
    yield batch;
  }
  throw lost("reset", "The engine closed a stream before its last frame.");
}

/**
 * A string when the server may render it alone. To go on after tokens it must be ids: the same that the
 * server would make of the string, with the same special tokens in front.
 */
async function promptOf(
  server: Server,
  { body, continueFrom }: AttemptRequest,
  signal: AbortSignal,
): Promise<string | number[]> {
  const text = await promptText(server, body, signal);
  if (continueFrom === undefined || continueFrom.length === 0) return text;
  return [...(await tokenize(server, text, true, signal)), ...continueFrom];
}

async function promptText(server: Server, body: TaskBody, signal: AbortSignal): Promise<string> {
  if (body.messages === undefined) return body.prompt ?? "";
  const { prompt } = await post(server, "/apply-template", { messages: body.messages }, signal);
  if (typeof prompt !== "string") throw lost("reset", "The engine rendered messages to no text.");
  return prompt;
}

/**
 * Text that waited to become a stop string is not sent when the limit ends the stream; its ids were, so it is
 * asked for. Ids may also stand there because they have no text at all.
 */
async function withHeldText(
  server: Server,
  { sampling: { stop } }: AttemptRequest,
  batch: Required<Omit<ReadFrames, "heldIds">>,
  heldIds: readonly number[] | undefined,
  signal: AbortSignal,
): Promise<TokenBatch> {
  const { why } = batch.end;
  if (heldIds === undefined || stop.length === 0 || why === "eos" || why === "stop") return batch;
  const t = await textOf(server, heldIds, signal);
  if (!endsInsideStop(t, stop)) return batch;
  return { ...batch, frames: [...batch.frames, { t, ids: heldIds }] };
}

/** The text of ids as a completion sends it; /detokenize alone writes control tokens out. */
async function textOf(server: Server, ids: readonly number[], signal: AbortSignal): Promise<string> {
  const { content } = await post(server, "/detokenize", { tokens: ids }, signal);
  if (typeof content !== "string") throw lost("reset", "The engine detokenized to no text.");
  const [special, plain] = await Promise.all([
    tokenize(server, content, false, signal),
    tokenize(server, content, false, signal, false),
  ]);
  if (special.join() === plain.join()) return content;
  if (ids.length === 1) return "";
  const pieces = await Promise.all(ids.map((id) => textOf(server, [id], signal)));
  return pieces.join("");
}

async function countTokens(server: Server, body: TaskBody, signal: AbortSignal): Promise<number> {
  const { query, inputs } = body;
  if (inputs === undefined) {
    return (await tokenize(server, await promptText(server, body, signal), true, signal)).length;
  }
  const longest = longestRun(await tokenize(server, apart(inputs), false, signal));
  const special = (await tokenize(server, "", true, signal)).length;
  const asked = query === undefined ? 0 : (await tokenize(server, query, true, signal)).length;
  return longest + special + asked;
}

/** No token of any vocabulary; /tokenize gives back the ids it is given, whatever they are. */
const between = -1;

/** One call tells the lengths of all: their tokens come joined, with a mark between any two. */
function apart(inputs: readonly string[]): (string | number)[] {
  return inputs.flatMap((input, index) => (index === 0 ? [input] : [between, input]));
}

function longestRun(tokens: readonly number[]): number {
  let longest = 0;
  let run = 0;
  for (const id of tokens) {
    run = id === between ? 0 : run + 1;
    longest = Math.max(longest, run);
  }
  return longest;
}

async function vectors(
  http: HttpClient,
  call: VectorCall,
  { firstTokenMs }: AttemptRequest,
  signal: AbortSignal,
): Promise<TokenBatch> {
  const startedAt = performance.now();
  const stream = await http.open(call.path, call.body, firstTokenMs, signal);
  await assertOk(stream, http);
  const text = await stream.text(vectorBytesMax);
  const { result, promptTokens } = call.read(jsonOf({ status: stream.status, text }, http));
  const prefillMs = performance.now() - startedAt;
  const end = { why: "eos", promptTokens, cachedTokens: 0, prefillMs, decodeMs: 0, result } as const;
  return { frames: [], tokens: 0, end };
}

async function tokenize(
  server: Server,
  content: string | readonly (string | number)[],
  addSpecial: boolean,
  signal: AbortSignal,
  parseSpecial = true,
): Promise<number[]> {
  const body = { content, add_special: addSpecial, parse_special: parseSpecial };
  const { tokens } = await post(server, "/tokenize", body, signal);
  if (!Array.isArray(tokens)) throw lost("reset", "The engine tokenized to no list.");
  return tokens as number[];
}

async function assertOk(stream: HttpStream, http: HttpClient): Promise<void> {
  if (stream.status === 200) return;
  throw upstreamError(parseUpstream(stream.status, await stream.text(errorBytesMax)), http.redact);
}

function get(server: Server, path: string, signal: AbortSignal): Promise<unknown> {
  return ask(server, { method: "GET", path }, signal);
}

async function post(server: Server, path: string, body: unknown, signal: AbortSignal) {
  return (await ask(server, { method: "POST", path, body }, signal)) as Record<string, unknown>;
}

async function ask(
  { http, totalMs, idempotent }: Server,
  call: { method: "GET" | "POST"; path: string; body?: unknown },
  signal: AbortSignal,
): Promise<unknown> {
  const answer = await http.call({ ...call, totalMs, idempotent }, signal);
  if (answer.status !== 200) throw upstreamError(parseUpstream(answer.status, answer.text), http.redact);
  return jsonOf(answer, http);
}

function jsonOf({ text }: PlainAnswer, http: HttpClient): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw lost("reset", `The engine answered no JSON: ${http.redact(text.slice(0, 200))}`, error);
  }
}

async function translated<T>(signal: AbortSignal, http: HttpClient, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw toEngineError(error, signal, http.redact);
  }
}
