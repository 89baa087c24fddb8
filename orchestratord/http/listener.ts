// One listening address and the routes it serves: Fastify finds the route, the dispatch does everything else.

import assert from "node:assert/strict";
import { lookup } from "node:dns/promises";
import type { Server as HttpServer, RequestListener } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { OrchError } from "@llama-orch/contract";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Clock } from "../clock.ts";
import type { Discarding } from "./discarding.ts";
import type { Dispatch, HttpConfig } from "./dispatch.ts";
import type { Limits } from "./limits.ts";
import { createNodeServer } from "./node-server.ts";
import { answerMalformed, jsonType, type Standing } from "./reply.ts";
import type { ServedRoute } from "./routes.ts";

export interface Registered {
  readonly method: string;
  readonly path: string;
}

export interface Listener {
  readonly registered: readonly Registered[];
  listen(host: string, port: number): Promise<void>;
  url(): string;
  /** Requests under way have until `limits.closeMs` to be answered. */
  close(): Promise<void>;
}

export interface ListenerOptions {
  readonly dispatch: Dispatch;
  readonly routes: readonly ServedRoute[];
  readonly config: HttpConfig;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly discarding: Discarding;
}

export function createListener(options: ListenerOptions): Listener {
  const { dispatch, routes, config, clock, limits, discarding } = options;
  const registered: Registered[] = [];
  const app = buildRouter(dispatch, discarding, (listener) => createNodeServer(config.tls, limits, listener));
  app.addHook("onRoute", ({ method, url }) => {
    registered.push({ method: String(method), path: url });
  });
  for (const route of routes) registerRoute(app, dispatch, route);
  const open = countOpen(app.server);
  return {
    registered,
    async listen(host, port) {
      // Given the name, the framework would open a second listener that knows no limits.
      const address = host === "localhost" ? (await lookup(host)).address : host;
      await app.listen({ host: address, port });
    },
    url() {
      const { address, port, family } = app.server.address() as AddressInfo;
      const shown = family === "IPv6" ? `[${address}]` : address;
      return `${config.tls === undefined ? "http" : "https"}://${shown}:${port}`;
    },
    async close() {
      const closed = app.close();
      const { promise: patienceOver, resolve } = Promise.withResolvers<void>();
      const patience = clock.after(limits.closeMs, resolve);
      await Promise.race([open.none(), patienceOver]);
      patience.cancel();
      // What is left are connections without a request, and peers that take too long to send or to read.
      app.server.closeAllConnections();
      await closed;
    },
  };
}

function buildRouter(
  dispatch: Dispatch,
  discarding: Discarding,
  createNode: (listener: RequestListener) => HttpServer,
): FastifyInstance {
  const app = fastify({
    serverFactory: createNode,
    // Ours have no schemas; the framework's own compilers for those would take 2 MiB, unused.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    // HEAD and OPTIONS are no routes of the contract; they get 405 like any other method.
    exposeHeadRoutes: false,
    return503OnClosing: false,
    // An id may be longer than Fastify's 100 characters; the size of the headers bounds it.
    routerOptions: { maxParamLength: Number.MAX_SAFE_INTEGER },
    frameworkErrors: (_error, { raw }, reply) => {
      reply.hijack();
      dispatch.refuse(raw, reply.raw, badPath());
    },
    clientErrorHandler: ({ code }, socket) => answerMalformed(code, socket, standingOn(socket), discarding),
  });
  // Handlers read bodies themselves, after the gate; the framework hands every one of them through.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
  app.setNotFoundHandler((request, reply) => {
    reply.hijack();
    dispatch.serveUnknown(request.raw, reply.raw);
  });
  // Left to the framework is only a Content-Type that is no media type at all.
  app.setErrorHandler((_error, request, reply) => {
    reply.hijack();
    if (request.is404) dispatch.serveUnknown(request.raw, reply.raw);
    else dispatch.refuse(request.raw, reply.raw, badType());
  });
  return app;
}

function noSchemas(): never {
  assert.fail("A route was given a schema; what it takes and answers is the contract's business.");
}

function registerRoute(app: FastifyInstance, dispatch: Dispatch, route: ServedRoute): void {
  const serve = ({ raw, params, query }: FastifyRequest, reply: FastifyReply) => {
    reply.hijack();
    dispatch.serve(route, {
      request: raw,
      response: reply.raw,
      params: params as { id?: string },
      query: query as Record<string, unknown>,
    });
  };
  app.route({
    method: route.row.method,
    url: route.row.path.replaceAll(/\{(\w+)\}/g, ":$1"),
    // What the framework does for bodies is dear, and would only add its verdict on an unusual Content-Type.
    onRequest(request, reply, done) {
      const type = request.raw.headers["content-type"];
      if (type === undefined || type === jsonType) serve(request, reply);
      else done();
    },
    handler: serve,
  });
}

/** Requests without a finished answer, streams among them. */
function countOpen(server: HttpServer): { none(): Promise<void> } {
  let open = 0;
  let onNone: (() => void) | undefined;
  const onClose = () => {
    if (--open === 0) onNone?.();
  };
  server.on("request", (_request, response) => {
    open++;
    response.on("close", onClose);
  });
  return {
    none: () =>
      new Promise((resolve) => {
        if (open === 0) resolve();
        else onNone = resolve;
      }),
  };
}

/** Node keeps the answer that is being written here; bytes of ours in its middle would be part of it. */
function standingOn(socket: Socket): Standing {
  const { _httpMessage: answer } = socket as Socket & { _httpMessage?: { headersSent: boolean } | null };
  if (answer === undefined || answer === null) return "none";
  return answer.headersSent ? "begun" : "awaited";
}

const badPath = () =>
  new OrchError("INVALID_PARAMS", "The path is not well percent-encoded; encode it as a URL component.");
const badType = () =>
  new OrchError("UNSUPPORTED_MEDIA_TYPE", "Content-Type is no media type; send application/json.");
