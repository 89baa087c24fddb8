// Requests to the installation, each on a connection of its own, so that nothing of ours is open when all is
// still. It interprets nothing.

import { type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import type { Absence } from "./absence.ts";

export interface Reply {
  readonly status: number;
  readonly body: string;
}

/** A reload waits for its engines; nothing else takes so long. */
const answeredWithinMs = 30_000;

export async function ask(method: string, url: string, body?: unknown, signal?: AbortSignal): Promise<Reply> {
  const content = body === undefined ? undefined : JSON.stringify(body);
  const limit = AbortSignal.timeout(answeredWithinMs);
  const either = signal === undefined ? limit : AbortSignal.any([limit, signal]);
  const response = await open(method, url, {}, content, either);
  return { status: response.statusCode as number, body: await text(response) };
}

/** Between two tries of somebody whose server is away. */
const lookAgainMs = 25;

/** Asks again and again as long as nobody answers. */
export async function askUntilAnswered(
  method: string,
  url: string,
  body: unknown,
  signal: AbortSignal,
  onAsk = () => {},
): Promise<Reply> {
  for (;;) {
    onAsk();
    try {
      return await ask(method, url, body, signal);
    } catch (error) {
      await afterLoss(error, signal);
    }
  }
}

/** @throws what is no lost connection, and whatever it was once the signal is aborted */
export async function afterLoss(error: unknown, signal: AbortSignal): Promise<void> {
  const { code } = error as NodeJS.ErrnoException;
  if (signal.aborted || code === undefined || !losses.has(code)) throw error;
  await delay(lookAgainMs, undefined, { signal });
}

/** Nobody listens, or whoever did is gone. */
const losses = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE"]);

/** @throws Error where the answer is no 2xx */
export async function askJson<T>(method: string, url: string, body?: unknown): Promise<T> {
  const reply = await ask(method, url, body);
  if (reply.status >= 300) throw new Error(`${method} ${url} answered ${reply.status}: ${reply.body}`);
  return JSON.parse(reply.body) as T;
}

export function open(
  method: string,
  url: string,
  headers: Readonly<Record<string, string>>,
  body?: string,
  signal?: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method,
      agent: false,
      headers: { ...headers, ...(body !== undefined && { "content-type": "application/json" }) },
      ...(signal !== undefined && { signal }),
    });
    sent.once("response", resolve).once("error", reject).end(body);
  });
}

export interface CutFetch {
  readonly fetch: typeof globalThis.fetch;
  /** When streams were taken up again that were then answered, and when tasks were handed in. */
  readonly resumedAtMs: readonly number[];
  readonly postedAtMs: readonly number[];
  /** Answers that say of a task of this client that there is none. */
  readonly unknown: () => number;
}

/** A fetch whose first streams each break off after so many bytes, for clients with a reader of their own. */
export function cutFetch(cuts: readonly number[], absence: Absence): CutFetch {
  const left = [...cuts];
  const resumedAtMs: number[] = [];
  const postedAtMs: number[] = [];
  let unknown = 0;
  const fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const headers = Object.fromEntries(new Headers(init.headers));
    const body = init.body === undefined || init.body === null ? undefined : String(init.body);
    const method = init.method ?? "GET";
    const atMs = performance.now();
    if (method === "POST" && String(input).endsWith("/v1/tasks")) postedAtMs.push(atMs);
    const response = await open(method, String(input), headers, body, init.signal ?? undefined);
    const status = response.statusCode as number;
    if (status === 200 && headers["last-event-id"] !== undefined) resumedAtMs.push(atMs);
    if (status === 404) unknown += 1;
    const isStream = response.headers["content-type"]?.startsWith("text/event-stream") === true;
    if (isStream) {
      absence.came();
      response.once("close", () => absence.left());
    }
    const cut = isStream ? left.shift() : undefined;
    const bytes = cut === undefined ? response : Readable.from(until(response, cut));
    const content = status === 204 ? null : (Readable.toWeb(bytes) as unknown as ReadableStream<Uint8Array>);
    return new Response(content, { status, headers: pairsOf(response.headers) });
  };
  return { fetch, resumedAtMs, postedAtMs, unknown: () => unknown };
}

async function* until(response: IncomingMessage, bytes: number): AsyncGenerator<Buffer> {
  let left = bytes;
  for await (const part of response as AsyncIterable<Buffer>) {
    yield part.subarray(0, left);
    left -= part.length;
    if (left > 0) continue;
    response.destroy();
    throw new Error("The connection was cut.");
  }
}

function pairsOf(headers: IncomingHttpHeaders): [string, string][] {
  return Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)]],
  );
}
