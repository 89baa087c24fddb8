// The connections of plain calls to one server: straight there or through a proxy, each kept for a while for
// the next call. How many calls there are at a time is not decided here. Streams have connections of their
// own.

import { Agent, type ClientRequestArgs } from "node:http";
import type { Socket } from "node:net";
import { connectWithin } from "./connection.ts";
import { openTunnel } from "./tunnel.ts";

export interface ConnectionsOptions {
  readonly server: URL;
  /** The way to it; straight there without one. */
  readonly proxy: URL | undefined;
  readonly connectMs: number;
  /** Connections without a call at most. */
  readonly idleMax: number;
  readonly idleMs: number;
}

/** What a call tells about itself. */
export interface ConnectionCall extends ClientRequestArgs {
  /** Aborted when the call is given up: then nothing is made for it any more. */
  readonly until?: AbortSignal;
}

type Made = Parameters<Agent["createConnection"]>[1];

export class Connections extends Agent {
  readonly #options: ConnectionsOptions;
  readonly #closing = new AbortController();

  constructor(options: ConnectionsOptions) {
    const { idleMax, idleMs } = options;
    // Node's own bound would let every tunnel through that is still dug, so there is none here.
    super({ keepAlive: true, maxFreeSockets: idleMax, timeout: idleMs });
    this.#options = options;
  }

  /** Called by Node, for a call that finds no connection free; it knows nothing of TLS and of proxies. */
  override createConnection({ until }: ConnectionCall, made?: Made): Socket | undefined {
    const { server, proxy, connectMs } = this.#options;
    if (proxy === undefined) return connectWithin(connectMs, server, server.origin);
    const closing = this.#closing.signal;
    const signal = until === undefined ? closing : AbortSignal.any([closing, until]);
    openTunnel({ proxy, server, limitMs: connectMs }, signal).then(
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
}
