// The door to engines that run: takes an address and gives the adapter that speaks the wire behind it. What
// an adapter promises stands in adapter.ts, how it fails in fault.ts.

import type { EngineKind } from "@llama-orch/contract";
import type { Adapter, EngineAddress } from "./adapter.ts";
import { refused } from "./fault.ts";
import type { Retry } from "./http/http-client.ts";
import { llamacppAdapter } from "./llamacpp/adapter.ts";

export * from "./adapter.ts";
export * from "./fault.ts";
export type { Retry } from "./http/http-client.ts";

export interface AdapterOptions {
  /** Of the jitter between retries of plain calls. */
  readonly seed: number;
  /** Told of each plain call that is made again. */
  readonly onRetry?: (retry: Retry) => void;
  /** The HTTP proxy on the way to every engine that is not on this machine. */
  readonly proxyUrl?: string | undefined;
}

/** @throws EngineError for an engine whose wire this release does not speak */
export function bindAdapter(address: EngineAddress, options: AdapterOptions): Adapter {
  const bind = adapters[address.engine];
  if (bind !== undefined) return bind(address, options);
  const spoken = Object.keys(adapters).join(", ");
  throw refused(
    "INTERNAL",
    `This release has no adapter for the engine ${address.engine}; configure a pool with ${spoken}.`,
  );
}

const adapters: Partial<Record<EngineKind, (address: EngineAddress, options: AdapterOptions) => Adapter>> = {
  llamacpp: llamacppAdapter,
};
