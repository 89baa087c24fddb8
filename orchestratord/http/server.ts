// The listeners of the control plane: the one of the contract's routes and, where configured, one more for
// the metrics. What a request may ask and how it is answered stands in the files beside this one.

import type { Application } from "../application.ts";
import type { Clock } from "../clock.ts";
import { discarding } from "./discarding.ts";
import { createDispatch, type HttpConfig, type HttpLog } from "./dispatch.ts";
import { defaultLimits, type Limits } from "./limits.ts";
import { createListener, type Registered } from "./listener.ts";
import { metricsRoutes, type ServedRoute, servedRoutes } from "./routes.ts";
import { Streams } from "./streams.ts";

export interface HttpServerOptions {
  readonly application: Application;
  readonly config: HttpConfig;
  readonly log: HttpLog;
  readonly clock: Clock;
  readonly limits?: Partial<Limits>;
}

export interface Server {
  /** Rejects as Node does (EADDRINUSE, EACCES) when an address cannot be had; then nothing listens. */
  listen(): Promise<void>;
  /** Of the main listener, with the port it really has. */
  readonly url: string;
  /** Of the extra metrics port, where one is configured. */
  readonly metricsUrl: string | undefined;
  /** What is registered, as the router was told. */
  readonly registered: readonly Registered[];
  /**
   * Stops accepting, cuts open streams without a terminal frame, lets other requests finish for a moment and
   * idle connections go. Whoever wants streams to end by themselves waits for that before.
   */
  close(): Promise<void>;
}

/** @throws INVALID_PARAMS when the TLS files cannot be used */
export function createServer(options: HttpServerOptions): Server {
  const { config } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const streams = new Streams();
  const shared = { ...options, limits, discarding: discarding(limits, options.clock) };
  const build = (routes: readonly ServedRoute[]) =>
    createListener({ ...shared, dispatch: createDispatch({ ...shared, routes, streams }), routes });
  const main = build(servedRoutes());
  const { host, port } = addressOf(config.auth.bind_addr);
  const metricsPort = config.telemetry.metrics_port;
  const metrics = metricsPort === undefined ? undefined : build(metricsRoutes());
  return {
    async listen() {
      try {
        await main.listen(host, port);
        await metrics?.listen(host, metricsPort as number);
      } catch (error) {
        await Promise.all([main.close(), metrics?.close()]);
        throw error;
      }
    },
    get url() {
      return main.url();
    },
    get metricsUrl() {
      return metrics?.url();
    },
    registered: main.registered,
    async close() {
      streams.cut();
      await Promise.all([main.close(), metrics?.close()]);
    },
  };
}

/** `host:port` or `[address]:port`, as the configuration has checked it. */
function addressOf(bindAddress: string): { host: string; port: number } {
  const at = bindAddress.lastIndexOf(":");
  const host = bindAddress.slice(0, at).replace(/^\[(.*)\]$/, "$1");
  return { host, port: Number(bindAddress.slice(at + 1)) };
}
