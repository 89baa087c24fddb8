// What a daemon has logged, in all of its lives or from some byte on. A life that was killed may have left
// half a line.

import { readFileSync } from "node:fs";

export class LogLines {
  readonly #text: string;

  /** @param from the byte at which to begin */
  constructor(path: string, from = 0) {
    this.#text = readFileSync(path).subarray(from).toString("utf8");
  }

  count(event: string): number {
    return this.#text.split(`"event":"${event}"`).length - 1;
  }

  /** The pool of each line of that event, by task. */
  poolsPerTask(event: string): Map<string, string[]> {
    const pools = new Map<string, string[]>();
    for (const line of this.#text.split("\n")) {
      if (!line.includes(`"event":"${event}"`)) continue;
      const id = /"task_id":"([^"]+)"/.exec(line)?.[1];
      const pool = /"pool_id":"([^"]+)"/.exec(line)?.[1];
      if (id === undefined || pool === undefined) continue;
      const known = pools.get(id);
      if (known === undefined) pools.set(id, [pool]);
      else known.push(pool);
    }
    return pools;
  }
}
