// A program that speaks llama-server's wire without a model: deterministic, fast, and broken on demand by
// `POST /faults`. It owns its slots and its connections; what is said in a completion is decided in
// completion.ts.

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { Completion } from "./completion.ts";
import { type FakeFacts, propsOf } from "./facts.ts";
import { type FakeFaults, FaultSwitch, parseFaults } from "./faults.ts";
import { invalid, type Refusal, readCompletion } from "./request.ts";
import { commonStart, type Slot, Slots } from "./slots.ts";
import { embeddings, ranks } from "./vectors.ts";
import { detokenize, renderMessages, tokenize } from "./vocabulary.ts";

type Body = Record<string, unknown>;
type Route = (body: Body, response: ServerResponse) => void | Promise<void>;

const bodyBytesMax = 64 << 20;
/** How often a paced stream writes at most. */
const paceMs = 2;

export class FakeServer {
  readonly faults = new FaultSwitch();
  readonly #facts: FakeFacts;
  readonly #slots: Slots;
  readonly #server: Server;
  readonly #startedAt = performance.now();
  #tokensTotal = 0;
  #promptTokensTotal = 0;

  constructor(facts: FakeFacts) {
    this.#facts = facts;
    this.#slots = new Slots(facts.slots);
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
  }

  /** The address it listens on. */
  async listen(port: number): Promise<string> {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "/").replace(/\?.*$/, "");
    const text = await textOf(request);
    if (path === "/faults") return this.#switch(request, text, response);
    const { apiKey, loadingMs } = this.#facts;
    if (this.faults.now.loading || performance.now() - this.#startedAt < loadingMs) {
      return refuse(response, { status: 503, type: "unavailable_error", message: "Loading model" });
    }
    if (apiKey !== undefined && path !== "/health" && request.headers.authorization !== `Bearer ${apiKey}`) {
      return refuse(response, { status: 401, type: "authentication_error", message: "Invalid API Key" });
    }
    const route = this.#routes[`${request.method} ${path}`];
    if (route === undefined) {
      return refuse(response, { status: 404, type: "not_found_error", message: "File Not Found" });
    }
    const body = text === "" ? {} : parsed(text);
    if (body === undefined) {
      const message = "[json.exception.parse_error.101] parse error: the body is not a JSON object";
      return refuse(response, { status: 500, type: "server_error", message });
    }
    await route(body, response);
  }

  readonly #routes: Readonly<Record<string, Route>> = {
    "GET /health": (_body, response) => say(response, { status: "ok" }),
    "GET /props": (_body, response) =>
      say(response, propsOf(this.#facts, this.faults.now.build_info ?? this.#facts.buildInfo)),
    "GET /slots": (_body, response) =>
      say(
        response,
        this.#slots.all.map(({ id, busy }) => ({ id, n_ctx: this.#facts.ctx, is_processing: busy })),
      ),
    "GET /metrics": (_body, response) => {
      response.setHeader("content-type", "text/plain; version=0.0.4");
      response.end(this.#metrics());
    },
    "POST /tokenize": (body, response) => say(response, { tokens: tokensIn(body) }),
    "POST /detokenize": (body, response) => say(response, { content: detokenize(body.tokens as number[]) }),
    "POST /apply-template": (body, response) =>
      say(response, { prompt: renderMessages(body.messages as { role: string; content: string }[]) }),
    "POST /v1/embeddings": (body, response) => this.#vectors("embedding", body, response),
    "POST /v1/rerank": (body, response) => this.#vectors("rerank", body, response),
    "POST /completion": (body, response) => this.#complete(body, response),
  };

  #switch(request: IncomingMessage, text: string, response: ServerResponse): void {
    if (request.method === "POST") {
      const faults = parseFaults(parsed(text === "" ? "{}" : text));
      if (typeof faults === "string") return refuse(response, invalid(faults));
      this.faults.set(faults);
    }
    say(response, this.faults.now);
  }

  #vectors(feature: "embedding" | "rerank", body: Body, response: ServerResponse): void {
    if (!this.#facts.features.includes(feature)) {
      const message = `This server does not support ${feature}. Start it with \`--${feature}\``;
      return refuse(response, { status: 501, type: "not_supported_error", message });
    }
    const refusal = refusalIn(this.faults.take());
    if (refusal !== undefined) return refuse(response, refusal);
    const { input, query, documents, top_n: top } = body;
    if (feature === "embedding") {
      if (input === undefined) return refuse(response, invalid('"input" or "content" must be provided'));
      return say(response, embeddings(Array.isArray(input) ? input : [String(input)]));
    }
    if (typeof query !== "string") return refuse(response, invalid('"query" must be provided'));
    const list = (documents ?? []) as string[];
    say(response, ranks(query, list, typeof top === "number" ? top : list.length));
  }

  async #complete(body: Body, response: ServerResponse): Promise<void> {
    const faults = this.faults.take();
    const refusal = refusalIn(faults);
    const read = readCompletion(body, this.#facts.ctx);
    if (refusal !== undefined || "status" in read) return refuse(response, refusal ?? (read as Refusal));
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const slot = await this.#slots.take(read.prompt, gone.signal);
    if (slot === undefined) return;
    try {
      if (faults.delay_ms !== undefined) await pause(faults.delay_ms, undefined, { signal: gone.signal });
      const cachedTokens = body.cache_prompt === false ? 0 : this.#cached(slot, read.prompt);
      const { alias: model, ctx, meanTokens } = this.#facts;
      const more = { meanTokens, ctx, model, slot: slot.id, cachedTokens };
      const completion = new Completion({ ...read, ...more }, faults);
      await this.#stream(completion, response, gone.signal);
      this.#tokensTotal += completion.tokens;
      this.#promptTokensTotal += read.prompt.length;
      slot.prompt = read.prompt;
    } catch (error) {
      if (!gone.signal.aborted) throw error;
    } finally {
      this.#slots.release(slot);
    }
  }

  /** The last token of a prompt is always looked at again. */
  #cached(slot: Slot, prompt: readonly number[]): number {
    return Math.min(commonStart(slot.prompt, prompt), Math.max(0, prompt.length - 1));
  }

  async #stream(completion: Completion, response: ServerResponse, gone: AbortSignal): Promise<void> {
    const { tokensPerSecond, framesPerWrite } = this.#facts;
    const { socket } = response;
    response.writeHead(200, { "content-type": "text/event-stream", "keep-alive": "timeout=5, max=100" });
    response.once("finish", () => socket?.end());
    response.flushHeaders();
    const startedAt = performance.now();
    while (!gone.aborted) {
      const count =
        tokensPerSecond === undefined ? framesPerWrite : due(completion.tokens, tokensPerSecond, startedAt);
      const { text, after } = completion.next(count);
      const flows = text === "" || response.write(text);
      if (after === "stall") await once(response, "close");
      if (after === "reset") socket?.resetAndDestroy();
      if (after === "end") response.end();
      if (after !== "go_on") return;
      if (!flows) await Promise.race([once(response, "drain"), once(response, "close")]);
      else if (tokensPerSecond === undefined) await new Promise(setImmediate);
      else await pause(Math.max(paceMs, 1000 / tokensPerSecond), undefined, { signal: gone });
    }
  }

  #metrics(): string {
    const rows: [string, "gauge" | "counter", number][] = [
      ["prompt_tokens_total", "counter", this.#promptTokensTotal],
      ["tokens_predicted_total", "counter", this.#tokensTotal],
      ["requests_processing", "gauge", this.#slots.all.filter(({ busy }) => busy).length],
      ["requests_deferred", "gauge", this.#slots.waiting],
    ];
    return rows
      .map(([name, kind, value]) => `# TYPE llamacpp:${name} ${kind}\nllamacpp:${name} ${value}\n`)
      .join("");
  }
}

/** Tokens that should be out by now, less those that are. */
function due(made: number, tokensPerSecond: number, startedAt: number): number {
  return Math.floor(((performance.now() - startedAt) * tokensPerSecond) / 1000) + 1 - made;
}

function refusalIn({
  no_slot: noSlot,
  status,
  message = "an injected fault",
}: FakeFaults): Refusal | undefined {
  if (noSlot === true) return { status: 503, type: "unavailable_error", message: "no slot available" };
  return status === undefined ? undefined : { status, type: "server_error", message };
}

function tokensIn({ content = "", add_special: add = false, parse_special: parse = true }: Body): unknown[] {
  const pieces = Array.isArray(content) ? content : [content];
  return pieces.flatMap((piece: unknown, index) =>
    typeof piece === "number"
      ? [piece]
      : tokenize(String(piece), add === true && index === 0, parse !== false),
  );
}

function say(response: ServerResponse, value: unknown): void {
  response.setHeader("content-type", "application/json; charset=utf-8");
  response.end(JSON.stringify(value));
}

function refuse(response: ServerResponse, { status, type, message, more }: Refusal): void {
  response.statusCode = status;
  say(response, { error: { code: status, message, type, ...more } });
}

function parsed(text: string): Body | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Body) : undefined;
  } catch {
    // The caller answers as llama-server does.
    return undefined;
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > bodyBytesMax) throw new Error("The body is too large.");
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}
