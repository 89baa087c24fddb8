// Whole lives of tasks, one after the other on each connection: hand in, follow, read to the end.

import { performance } from "node:perf_hooks";
import { taskBody } from "./daemon.ts";
import { getRequest, Line, postRequest } from "./line.ts";

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
  let next = 0;
  const startMs = performance.now();
  const one = async (): Promise<void> => {
    const line = await Line.open(url);
    for (let n = next++; n < count; n = next++) {
      const id = `${name}-${n}`;
      await line.ask(postRequest(url, "/v1/tasks", taskBody(id, tokens)));
      const { text } = await line.ask(getRequest(url, `/v1/tasks/${id}/stream`));
      if (!text.includes(`"tokens_out":${tokens}`)) throw new Error(`Task ${id} ended differently:\n${text}`);
    }
    line.close();
  };
  await Promise.all(Array.from({ length: connections }, one));
  return { perS: (1000 * count) / (performance.now() - startMs) };
}
