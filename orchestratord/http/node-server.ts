// Node's own server under a listener: plain or TLS, with every limit set. It routes nothing.

import { readFileSync } from "node:fs";
import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type RequestListener,
  type ServerOptions,
} from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { createSecureContext } from "node:tls";
import { type Config, OrchError } from "@llama-orch/contract";
import type { Limits } from "./limits.ts";

/** @throws INVALID_PARAMS when the TLS files cannot be used */
export function createNodeServer(tls: Config["tls"], limits: Limits, listener: RequestListener): HttpServer {
  const options: ServerOptions = {
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: limits.checkIntervalMs,
    maxHeaderSize: limits.headerBytesMax,
    // Node would answer without a correlation id; the gate refuses a missing Host itself.
    requireHostHeader: false,
  };
  const server =
    tls === undefined
      ? createHttpServer(options, listener)
      : createHttpsServer(
          { ...options, ...readTls(tls), handshakeTimeout: limits.tlsHandshakeMs, minVersion: "TLSv1.2" },
          listener,
        );
  // Node would answer an expectation it does not know without a correlation id.
  server.on("checkExpectation", listener);
  server.maxConnections = limits.connectionsMax;
  // Above 2000 Node drops headers in silence, an X-Forwarded-For among them; their bytes are bounded anyway.
  server.maxHeadersCount = 0;
  return server;
}

function readTls({ cert_file, key_file }: NonNullable<Config["tls"]>): { cert: Buffer; key: Buffer } {
  const read = (key: string, path: string) => {
    try {
      return readFileSync(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const message = `${key}: ${path} cannot be read (${code}); name a PEM file this user may read.`;
      throw new OrchError("INVALID_PARAMS", message, {}, error);
    }
  };
  const pair = { cert: read("tls.cert_file", cert_file), key: read("tls.key_file", key_file) };
  try {
    createSecureContext(pair);
  } catch (error) {
    const message = `tls: ${cert_file} and ${key_file} are no PEM certificate and its private key; name a pair.`;
    throw new OrchError("INVALID_PARAMS", message, {}, error);
  }
  return pair;
}
