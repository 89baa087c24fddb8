// Whole lives of tasks, one after the other on each connection: hand in, follow, read to the end.

import { Agent, request } from "node:http";
import { performance } from "node:perf_hooks";
import { taskBody } from "./daemon.ts";

export interface LivesOptions {
  readonly url: string;
  /** Of the tasks, so that no two are the same. */
  readonly name: string;
  readonly count: number;
  readonly connections: number;
}

export interface Lives {
  readonly perS: number;
}

const tokens = 16;

export async function live({ url, name, count, connections }: LivesOptions): Promise<Lives> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  let next = 0;
  const startMs = performance.now();
  const one = async (): Promise<void> => {
    for (let n = next++; n < count; n = next++) {
      const id = `${name}-${n}`;
      await ask(agent, `${url}/v1/tasks`, taskBody(id, tokens));
      const stream = await ask(agent, `${url}/v1/tasks/${id}/stream`);
      if (!stream.includes(`"tokens_out":${tokens}`))
        throw new Error(`Task ${id} ended differently:\n${stream}`);
    }
  };
  await Promise.all(Array.from({ length: connections }, one));
  agent.destroy();
  return { perS: (1000 * count) / (performance.now() - startMs) };
}

function ask(agent: Agent, url: string, body?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers =
      body === undefined ? {} : { "Content-Type": "application/json", "Content-Length": body.length };
    const sent = request(url, { agent, method: body === undefined ? "GET" : "POST", headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve(Buffer.concat(chunks).toString()));
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}
