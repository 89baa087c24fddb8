// Many requests over a few connections, each as soon as the one before is answered or at a given rate: how
// many were answered in a second, how, and after what time.

import { performance } from "node:perf_hooks";
import { Line } from "./line.ts";

export interface LoadOptions {
  readonly url: string;
  /** Sent in this order, spread over the connections. */
  readonly requests: readonly string[];
  readonly connections: number;
  /** Requests per second over all connections; as fast as they are answered when absent. */
  readonly perS?: number;
}

export interface LoadResult {
  readonly perS: number;
  /** By status of the answer. */
  readonly statuses: ReadonlyMap<number, number>;
  readonly latenciesMs: Float64Array;
}

export async function sendLoad({ url, requests, connections, perS }: LoadOptions): Promise<LoadResult> {
  const statuses = new Map<number, number>();
  const latenciesMs = new Float64Array(requests.length);
  let next = 0;
  const startMs = performance.now();
  const dueMs = (index: number) => (perS === undefined ? 0 : startMs + (1000 * index) / perS);
  const one = async (): Promise<void> => {
    const line = await Line.open(url);
    for (let index = next++; index < requests.length; index = next++) {
      const waitMs = dueMs(index) - performance.now();
      if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs));
      // At a given rate time counts from when it was due: waiting for a connection is waiting for the server.
      const sentMs = perS === undefined ? performance.now() : dueMs(index);
      const { status } = await line.ask(requests[index] as string);
      latenciesMs[index] = performance.now() - sentMs;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    line.close();
  };
  await Promise.all(Array.from({ length: connections }, one));
  const tookMs = performance.now() - startMs;
  return { perS: (1000 * requests.length) / tookMs, statuses, latenciesMs: latenciesMs.sort() };
}

export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number;
}
