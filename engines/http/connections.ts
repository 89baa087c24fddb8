// The connections of plain calls to one server: straight there or through a proxy, a bounded number, each
// kept for a while for the next call. Streams have connections of their own.

import { Agent } from "node:http";
import type { Socket } from "node:net";
import { beginConnection, readyEvent } from "./connection.ts";
import { httpFailure } from "./http-failure.ts";
import { openTunnel } from "./tunnel.ts";

export interface ConnectionsOptions {
  readonly server: URL;
  /** The way to it; straight there without one. */
  readonly proxy: URL | undefined;
  readonly connectMs: number;
  /** Calls under way at most, and connections without one. */
  readonly max: number;
  readonly idleMs: number;
}

type Made = Parameters<Agent["createConnection"]>[1];

export class Connections extends Agent {
  readonly #options: ConnectionsOptions;
  readonly #closing = new AbortController();

  constructor(options: ConnectionsOptions) {
    const { max, idleMs } = options;
    super({ keepAlive: true, maxSockets: max, maxFreeSockets: max, timeout: idleMs });
    this.#options = options;
  }

  /** Called by Node, for a call that finds no connection free; it knows nothing of TLS and of proxies. */
  override createConnection(_call: object, made?: Made): Socket | undefined {
    const { server, proxy, connectMs } = this.#options;
    if (proxy === undefined) return this.#straight();
    openTunnel({ proxy, server, limitMs: connectMs }, this.#closing.signal).then(
      // A tunnel stands still until it has an owner.
      (socket) => made?.(null, socket.resume()),
      // Node does not look at the socket where there is an error.
      (error: Error) => made?.(error, undefined as never),
    );
    return undefined;
  }

  /** Those that are being made as well. */
  override destroy(): void {
    this.#closing.abort();
    super.destroy();
  }

  #straight(): Socket {
    const { server, connectMs } = this.#options;
    const socket = beginConnection(server);
    const timer = setTimeout(() => {
      socket.destroy(httpFailure("connect_timeout", server.origin, `${connectMs} ms`));
    }, connectMs);
    const settled = () => clearTimeout(timer);
    return socket.once(readyEvent(server), settled).once("close", settled);
  }
}
