// The one way out to an engine over HTTP: limits, a small pool of connections for plain calls, retries of the
// idempotent ones, a connection of its own for every stream, and no credential in any error. What an answer
// means is the adapter's business.

import { type IncomingMessage, type RequestOptions, request, validateHeaderValue } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { type ConnectionCall, Connections } from "./connections.ts";
import { failureOf, type HttpFailure, type HttpFailureKind, httpFailure } from "./http-failure.ts";
import { HttpStream } from "./http-stream.ts";
import { redactor } from "./redact.ts";
import { isRetriedStatus, pauseMs, seededRandom } from "./retry.ts";
import { proxyTo, secretsOf } from "./tunnel.ts";
import { Turns } from "./turns.ts";

export const httpLimits = {
  connectMs: 5_000,
  totalMs: 30_000,
  idlePerOrigin: 8,
  idleMs: 90_000,
  answerBytes: 8 << 20,
} as const;

export interface HttpClientOptions {
  /** With a path when the engine is reached through a relay. */
  readonly url: string;
  readonly apiKey?: string;
  /** An HTTP proxy for everything but engines on this machine; no other is used. */
  readonly proxyUrl?: string | undefined;
  /** Of the jitter between retries. */
  readonly seed: number;
  readonly limits?: Partial<Record<keyof typeof httpLimits, number>>;
  /** Told before the pause of each retry. */
  readonly onRetry?: ((retry: Retry) => void) | undefined;
  /** How a pause is made; tests make none. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** A plain call that failed and is made again. */
export interface Retry {
  /** Method and path. */
  readonly call: string;
  /** 1 for the first. */
  readonly retry: number;
  readonly waitMs: number;
  /** The status of the answer, or how the call failed before there was one. */
  readonly why: number | HttpFailureKind;
}

export interface PlainCall {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: unknown;
  /** Whether a second call does no harm; only then it is tried again. */
  readonly idempotent: boolean;
  readonly totalMs?: number;
}

export interface PlainAnswer {
  readonly status: number;
  readonly text: string;
}

export class HttpClient {
  readonly redact: (text: string) => string;
  readonly #server: URL;
  readonly #proxy: URL | undefined;
  readonly #origin: string;
  readonly #prefix: string;
  readonly #connections: Connections;
  readonly #turns: Turns;
  readonly #headers: Record<string, string>;
  readonly #headerLines: string;
  readonly #random: () => number;
  readonly #limits: Record<keyof typeof httpLimits, number>;
  readonly #onRetry: (retry: Retry) => void;
  readonly #wait: (ms: number, signal: AbortSignal) => Promise<void>;

  constructor(options: HttpClientOptions) {
    this.#server = new URL(options.url);
    const { origin, pathname } = this.#server;
    this.#origin = origin;
    this.#prefix = pathname.replace(/\/+$/, "");
    this.#limits = { ...httpLimits, ...options.limits };
    this.#random = seededRandom(options.seed);
    this.#onRetry = options.onRetry ?? (() => {});
    this.#wait = options.wait ?? ((ms, signal) => pause(ms, undefined, { signal }));
    this.#proxy = proxyTo(this.#server, options.proxyUrl);
    this.redact = redactor([options.apiKey ?? "", ...secretsOf(this.#proxy)]);
    this.#headers = {
      "content-type": "application/json",
      ...(options.apiKey !== undefined && { authorization: `Bearer ${options.apiKey}` }),
    };
    this.#headerLines = Object.entries(this.#headers).map(headerLine).join("");
    this.#connections = new Connections({
      server: this.#server,
      proxy: this.#proxy,
      connectMs: this.#limits.connectMs,
      idleMax: this.#limits.idlePerOrigin,
      idleMs: this.#limits.idleMs,
    });
    this.#turns = new Turns(this.#limits.idlePerOrigin);
  }

  /** The last answer, whatever its status. @throws HttpFailure or the signal's reason */
  async call(call: PlainCall, signal: AbortSignal): Promise<PlainAnswer> {
    for (let retry = 0; ; retry += 1) {
      const outcome = await this.#once(call, signal);
      const again =
        "failure" in outcome ? isRetriedFailure(outcome.failure) : isRetriedStatus(outcome.status);
      const retryAfter = "failure" in outcome ? undefined : outcome.retryAfter;
      const waitMs = call.idempotent && again ? pauseMs(retry, this.#random, retryAfter) : undefined;
      if (waitMs === undefined) {
        if ("failure" in outcome) throw outcome.failure;
        return outcome;
      }
      const why = "failure" in outcome ? outcome.failure.kind : outcome.status;
      this.#onRetry({ call: `${call.method} ${call.path}`, retry: retry + 1, waitMs, why });
      await this.#wait(waitMs, signal).catch((error: unknown) => {
        throw signal.aborted ? signal.reason : error;
      });
    }
  }

  /** Never tried again. @throws HttpFailure or the signal's reason */
  open(path: string, body: unknown, firstByteMs: number, signal: AbortSignal): Promise<HttpStream> {
    return HttpStream.open(
      {
        server: this.#server,
        proxy: this.#proxy,
        path: this.#prefix + path,
        headerLines: this.#headerLines,
        body: JSON.stringify(body),
        connectMs: Math.min(this.#limits.connectMs, firstByteMs),
        firstByteMs,
      },
      signal,
    );
  }

  async close(): Promise<void> {
    this.#connections.destroy();
  }

  async #once(
    call: PlainCall,
    signal: AbortSignal,
  ): Promise<(PlainAnswer & { retryAfter: string | undefined }) | { failure: HttpFailure }> {
    signal.throwIfAborted();
    const where = `${this.#origin}${this.#prefix}${call.path}`;
    const totalMs = call.totalMs ?? this.#limits.totalMs;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(httpFailure("timeout", where, `${totalMs} ms`)), totalMs);
    let hasTurn = false;
    try {
      const until = AbortSignal.any([signal, late.signal]);
      await this.#turns.take(until);
      hasTurn = true;
      const answer = await this.#ask(call, until);
      const pieces: Buffer[] = [];
      let bytes = 0;
      // Leaving the loop by a throw destroys the connection.
      for await (const piece of answer as AsyncIterable<Buffer>) {
        bytes += piece.length;
        if (bytes > this.#limits.answerBytes) {
          throw httpFailure("too_large", where, `more than ${this.#limits.answerBytes} bytes`);
        }
        pieces.push(piece);
      }
      return {
        status: answer.statusCode as number,
        text: Buffer.concat(pieces).toString("utf8"),
        retryAfter: answer.headers["retry-after"],
      };
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      return { failure: failureOf(late.signal.aborted ? late.signal.reason : error, where) };
    } finally {
      clearTimeout(timer);
      // Node has the connection of an answer free for the next call one turn of the loop after its end.
      if (hasTurn) setImmediate(() => this.#turns.give());
    }
  }

  /** Resolves with the head of the answer. */
  #ask({ method, path, body }: PlainCall, signal: AbortSignal): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const { host, hostname, port } = this.#server;
    const options: RequestOptions & ConnectionCall = {
      agent: this.#connections,
      hostname,
      port,
      method,
      path: this.#prefix + path,
      headers: { ...this.#headers, host },
      signal,
      // Node keeps the signal from the agent.
      until: signal,
    };
    const asked = request(options);
    asked.on("response", resolve).on("error", reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  }
}

/** @throws Error for a value that would end its line */
function headerLine([name, value]: readonly [string, string]): string {
  validateHeaderValue(name, value);
  return `${name}: ${value}\r\n`;
}

/** What was too late, too large or not wanted would be so again. */
const notRetried: ReadonlySet<HttpFailureKind> = new Set([
  "timeout",
  "too_large",
  "untrusted",
  "proxy_refused",
]);

const isRetriedFailure = ({ kind }: HttpFailure): boolean => !notRetried.has(kind);
