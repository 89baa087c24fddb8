// Open on loopback is not open to the web: which Host and Origin a request without a credential may name, and
// what a configured web origin is told by CORS.

import type { IncomingHttpHeaders } from "node:http";
import {
  type Config,
  isLoopback,
  OrchError,
  propagationHeaders,
  responseHeaders,
} from "@llama-orch/contract";

export interface OriginRule {
  /** @throws FORBIDDEN_ORIGIN; asked only about requests that no credential vouches for */
  require(headers: IncomingHttpHeaders): void;
  /** Names and values in turn of the CORS headers that each answer to this request carries. */
  headersFor(origin: string | undefined): readonly string[];
  /** The headers of the answer to a preflight; undefined where it is none, or from no configured origin. */
  preflight(headers: IncomingHttpHeaders, methods: readonly string[]): readonly string[] | undefined;
}

const none: readonly string[] = [];
const vary = ["Vary", "Origin"] as const;
const preflightSeconds = "600";
const requestHeaders = [
  "Content-Type",
  "X-API-Key",
  "Authorization",
  "Last-Event-ID",
  ...propagationHeaders,
].join(", ");
const exposedHeaders = Object.keys(responseHeaders).join(", ");

export function originRule({ allowed_hosts, cors_origins }: Config["network"]): OriginRule {
  const hosts = new Set(allowed_hosts.map((host) => host.toLowerCase()));
  const origins = new Set(cors_origins.map((origin) => origin.toLowerCase()));
  const isOurs = (host: string) => isLoopback(host) || hosts.has(host.replace(/:\d+$/, "").toLowerCase());
  const isConfigured = (origin: string) => origins.has(origin.toLowerCase());
  return {
    require({ host = "", origin }) {
      if (!isOurs(host))
        throw foreign(`The Host ${shown(host)} is not this machine.`, "network.allowed_hosts");
      if (origin === undefined || isConfigured(origin)) return;
      const page = /^https?:\/\/([^/]+)$/i.exec(origin)?.[1];
      if (page === undefined || !isOurs(page)) {
        throw foreign(`The Origin ${shown(origin)} is foreign.`, "network.cors_origins (ORCHD_CORS_ORIGINS)");
      }
    },
    headersFor(origin) {
      if (origins.size === 0) return none;
      if (origin === undefined || !isConfigured(origin)) return vary;
      return [
        ...vary,
        "Access-Control-Allow-Origin",
        origin,
        "Access-Control-Expose-Headers",
        exposedHeaders,
      ];
    },
    preflight(headers, methods) {
      const { origin, "access-control-request-method": method } = headers;
      if (origin === undefined || method === undefined || !isConfigured(origin)) return undefined;
      return [
        "Access-Control-Allow-Methods",
        methods.join(", "),
        "Access-Control-Allow-Headers",
        requestHeaders,
        "Access-Control-Max-Age",
        preflightSeconds,
      ];
    },
  };
}

function foreign(message: string, key: string): OrchError {
  const hint = `Send a credential, or add it to ${key}.`;
  return new OrchError("FORBIDDEN_ORIGIN", message, { hint });
}

const shown = (value: string) => JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value);
