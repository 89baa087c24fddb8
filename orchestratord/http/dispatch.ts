// From a routed request to its handler and from whatever is thrown to an answer. Nothing leaves a handler
// unanswered, and nothing a handler throws reaches the framework.

import type { IncomingMessage, ServerResponse } from "node:http";
import { type Config, OrchError } from "@llama-orch/contract";
import type { Application } from "../application.ts";
import type { Clock } from "../clock.ts";
import { type AuthEntry, createGate, type Gate } from "./auth.ts";
import { correlationIdFrom } from "./correlation.ts";
import type { Discarding } from "./discarding.ts";
import type { Room } from "./exchange.ts";
import { Held } from "./held.ts";
import type { Limits } from "./limits.ts";
import { type OriginRule, originRule } from "./origin.ts";
import { internalError, sendError, sendNothing, type Wire } from "./reply.ts";
import { methodsByPath, type ServedRoute } from "./routes.ts";
import type { Streams } from "./streams.ts";

/** The parts of the configuration that the HTTP face reads. */
export type HttpConfig = Pick<Config, "auth" | "network" | "tls" | "telemetry">;

export interface FaultEntry {
  readonly correlationId: string;
  readonly error: unknown;
}

/** What the HTTP face tells the log. */
export interface HttpLog {
  auth(entry: AuthEntry): void;
  /** A bug: something was thrown that is no OrchError. The caller got 500. */
  fault(entry: FaultEntry): void;
}

/** What the router knows of a request. */
export interface Routed {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly params: { readonly id?: string };
  readonly query: Readonly<Record<string, unknown>>;
}

export interface Dispatch {
  serve(route: ServedRoute, routed: Routed): void;
  /** For paths and methods that no route has. */
  serveUnknown(request: IncomingMessage, response: ServerResponse): void;
  /** For what the router or the framework refuses; the gate comes first. */
  refuse(request: IncomingMessage, response: ServerResponse, error: OrchError): void;
}

export interface DispatchOptions {
  readonly application: Application;
  readonly config: HttpConfig;
  readonly log: HttpLog;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly routes: readonly ServedRoute[];
  readonly streams: Streams;
  readonly discarding: Discarding;
}

export function createDispatch(options: DispatchOptions): Dispatch {
  const { application, config, log, clock, limits, routes, streams, discarding } = options;
  const origin = originRule(config.network);
  const gate = createGate(config.auth, origin, log.auth);
  const held = new Held(limits);
  const room: Room = { application, streams, clock };
  const methodsOf = methodsByPath(routes);

  const wireOf = (request: IncomingMessage, response: ServerResponse): Wire => ({
    request,
    response,
    correlationId: correlationIdFrom(request.headers),
    crossOrigin: origin.headersFor(request.headers.origin),
    held,
    discarding,
  });
  const fail = (wire: Wire, error: unknown) => sendError(wire, asOrchError(error, wire, log));

  return {
    serve({ row, handler }, { request, response, params, query }) {
      const wire = wireOf(request, response);
      try {
        const caller = admit(gate, row.auth, wire);
        const exchange = { wire, caller, id: params.id ?? "", query };
        const answered = handler(exchange, room, row.body?.limitBytes ?? 0);
        answered?.catch((error) => fail(wire, error));
      } catch (error) {
        fail(wire, error);
      }
    },
    serveUnknown(request, response) {
      const wire = wireOf(request, response);
      const path = (request.url as string).split("?", 1)[0] as string;
      const methods = methodsOf(path);
      try {
        if (methods.length > 0 && answerPreflight(wire, origin, methods)) return;
        admit(gate, "key", wire);
        throw methods.length > 0 ? methodNotAllowed(methods) : unknownRoute();
      } catch (error) {
        const allow = error instanceof OrchError && error.code === "METHOD_NOT_ALLOWED";
        sendError(wire, asOrchError(error, wire, log), allow ? ["Allow", methods.join(", ")] : []);
      }
    },
    refuse(request, response, error) {
      const wire = wireOf(request, response);
      try {
        admit(gate, "key", wire);
        sendError(wire, error);
      } catch (refusal) {
        fail(wire, refusal);
      }
    },
  };
}

function admit(gate: Gate, asks: ServedRoute["row"]["auth"], { request, correlationId }: Wire) {
  if (request.headers.host === undefined && request.httpVersionMinor > 0) {
    throw new OrchError("INVALID_PARAMS", "The header Host is missing; HTTP/1.1 requires it.");
  }
  return gate(asks, request, correlationId);
}

/** A browser asks without credentials whether a page may call; only configured origins are told yes. */
function answerPreflight(wire: Wire, origin: OriginRule, methods: readonly string[]): boolean {
  const { method, headers } = wire.request;
  const allowed = method === "OPTIONS" ? origin.preflight(headers, methods) : undefined;
  if (allowed !== undefined) sendNothing(wire, allowed);
  return allowed !== undefined;
}

function asOrchError(error: unknown, { correlationId }: Wire, log: HttpLog): OrchError {
  if (error instanceof OrchError && error.code !== "INTERNAL") return error;
  log.fault({ correlationId, error: error instanceof OrchError ? (error.cause ?? error) : error });
  return error instanceof OrchError ? error : internalError(error);
}

const unknownRoute = () =>
  new OrchError("NOT_FOUND", "There is no such route; docs/http-api.md lists them all.");

function methodNotAllowed(methods: readonly string[]): OrchError {
  const message = `This path does not have this method; it has ${methods.join(" and ")}.`;
  return new OrchError("METHOD_NOT_ALLOWED", message);
}
