// The HTTP face: checks the API key, reads bounded bodies, and answers every mishap in llama-server's shape.
// Until there are routes, every path answers that the model is loading.

import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type Body, isObject } from "./fields.ts";
import { invalid, messageOf, Refusal } from "./refusal.ts";

export interface Exchange {
  readonly query: URLSearchParams;
  readonly response: ServerResponse;
  /** Aborted when the caller's connection closes before the answer is complete. */
  readonly signal: AbortSignal;
  /** The body as an object. @throws Refusal */
  body(): Promise<Body>;
}

/** Method and path → what answers. */
export type Routes = Readonly<Record<string, (exchange: Exchange) => Promise<void> | void>>;

const bodyBytesMax = 32 * 1024 * 1024;
/** Paths that need no key. */
const open = new Set(["/health", "/v1/health"]);

export function createEngineServer(apiKeys: readonly string[], routes: () => Routes | undefined): Server {
  const digests = apiKeys.map(digestOf);
  const server = createServer({ keepAliveTimeout: 30_000 }, (request, response) => {
    response.on("error", () => response.destroy());
    answer(request, response, digests, routes()).catch((error: unknown) => fail(response, error));
  });
  return server;
}

export function sendJson(response: ServerResponse, value: unknown): void {
  send(response, 200, "application/json; charset=utf-8", JSON.stringify(value));
}

export function send(response: ServerResponse, status: number, type: string, text: string): void {
  const headers = { Server: "llama.cpp", "Content-Type": type, "Content-Length": Buffer.byteLength(text) };
  response.writeHead(status, headers).end(text);
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  keys: readonly Buffer[],
  routes: Routes | undefined,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://engine");
  if (keys.length > 0 && !open.has(pathname) && !isAllowed(request, keys)) {
    throw new Refusal("authentication_error", "Invalid API Key");
  }
  if (routes === undefined) throw new Refusal("unavailable_error", "Loading model");
  const route = routes[`${request.method} ${pathname}`];
  if (route === undefined) throw new Refusal("not_found_error", "File Not Found");
  const gone = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) gone.abort();
  });
  await route({ query: searchParams, response, signal: gone.signal, body: () => readBody(request) });
}

function fail(response: ServerResponse, error: unknown): void {
  if (response.destroyed || response.writableEnded) return;
  const refusal = error instanceof Refusal ? error : new Refusal("server_error", messageOf(error));
  if (response.headersSent) {
    response.end(`data: ${refusal.body}\n\n`);
    return;
  }
  // What is left of a body that was refused unread would be taken for the next request.
  if (!response.req.complete) response.setHeader("Connection", "close");
  send(response, refusal.status, "application/json; charset=utf-8", refusal.body);
}

async function readBody(request: IncomingMessage): Promise<Body> {
  if (Number(request.headers["content-length"] ?? 0) > bodyBytesMax) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > bodyBytesMax) throw tooLarge();
    chunks.push(chunk);
  }
  const value = parse(Buffer.concat(chunks).toString("utf8"));
  if (!isObject(value)) throw invalid("The body must be a JSON object");
  return value;
}

function tooLarge(): Refusal {
  return new Refusal("too_large_error", `The body is larger than ${bodyBytesMax} bytes`);
}

/** llama-server answers a body that is no JSON with 500 and these words. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refusal("server_error", `parse error: ${messageOf(error)}`);
  }
}

function isAllowed({ headers }: IncomingMessage, keys: readonly Buffer[]): boolean {
  const given = headers.authorization?.replace(/^Bearer /, "") ?? headers["x-api-key"];
  if (typeof given !== "string") return false;
  const digest = digestOf(given);
  return keys.some((key) => timingSafeEqual(key, digest));
}

function digestOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
