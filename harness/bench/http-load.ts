// A client that costs nearly nothing, so that the server is what is measured: requests are bytes that were
// made before, each connection has one under way, and of an answer only its head and length are looked at.

import { connect, type Socket } from "node:net";
import { performance } from "node:perf_hooks";

export interface LoadOptions {
  readonly url: string;
  /** Sent in this order, spread over the connections. */
  readonly requests: readonly Buffer[];
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

export function postRequest(url: string, path: string, body: string): Buffer {
  const { host } = new URL(url);
  const head =
    `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  return Buffer.from(head + body);
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
      const status = await line.ask(requests[index] as Buffer);
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

/** One connection with at most one request under way. */
class Line {
  readonly #socket: Socket;
  #pending: { resolve(status: number): void; reject(error: Error): void } | undefined;
  #head = "";
  #status = 0;
  #bodyLeft = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", (error) => this.#pending?.reject(error));
    socket.on("close", () => this.#pending?.reject(new Error("The server closed a connection under load.")));
  }

  static open(url: string): Promise<Line> {
    const { hostname, port } = new URL(url);
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => resolve(new Line(socket)));
      socket.once("error", reject);
    });
  }

  ask(request: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#pending = undefined;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    if (this.#bodyLeft === 0) {
      this.#head += chunk.toString("latin1");
      const end = this.#head.indexOf("\r\n\r\n");
      if (end < 0) return;
      this.#status = Number(this.#head.slice(9, 12));
      const length = /\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1] ?? "0";
      this.#bodyLeft = Number(length) - (this.#head.length - end - 4);
      this.#head = "";
    } else {
      this.#bodyLeft -= chunk.length;
    }
    if (this.#bodyLeft > 0) return;
    this.#bodyLeft = 0;
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.resolve(this.#status);
  }
}
