// orchestratord as its own program starts it, with one thing more: whoever started it may make its disk
// slow, by a message over the channel between them. The delay lies at the port of the store, since nothing
// outside of the process can make one folder slow without rights that a test run does not have; the store
// behind it is the real one, and its own thread is not delayed.

import { readFileSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { TaskBody } from "@llama-orch/contract";

enableCompileCache(join(import.meta.dirname, "../../node_modules/.cache/llama-orch"));
const [{ orchestratordConfig, resolveConfig }, { startOrchestratord }] = await Promise.all([
  import("@llama-orch/contract"),
  import("@llama-orch/orchestratord"),
]);

/** What the channel carries: from now on every commit takes so much longer. */
export interface CommitDelay {
  readonly commitMs: number;
}

type SlowedStore = NonNullable<Parameters<typeof startOrchestratord>[0]["store"]>;

const disk = { commitMs: 0 };
process.on("message", ({ commitMs }: CommitDelay) => {
  disk.commitMs = commitMs;
});
// Nobody is waited for because of the channel.
process.channel?.unref();

/**
 * Commits that come together wait together, as for one slow sync, and none overtakes another. What waits is
 * not kept yet, and can be read all the same.
 */
const slowed: SlowedStore = (open) => {
  const store = open();
  const bodies = new Map<string, TaskBody>();
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  const commit: typeof store.commit = async (facts) => {
    if (disk.commitMs > 0 || waiting > 0) {
      waiting += 1;
      const admitted = facts.filter((fact) => fact.fact === "admitted");
      for (const { facts: about, body } of admitted) bodies.set(about.jobId, body);
      last = Promise.all([last, delay(disk.commitMs)]);
      await last;
      waiting -= 1;
      for (const { facts: about } of admitted) bodies.delete(about.jobId);
    }
    return store.commit(facts);
  };
  const body: typeof store.body = async (jobId) => bodies.get(jobId) ?? (await store.body(jobId));
  return new Proxy(store, {
    get(target, name) {
      if (name === "commit") return commit;
      if (name === "body") return body;
      const own: unknown = Reflect.get(target, name);
      return typeof own === "function" ? own.bind(target) : own;
    },
  });
};

const resolved = resolveConfig({ file: JSON.parse(readFileSync(process.argv[2] as string, "utf8")) });
if (!resolved.ok) throw new Error(JSON.stringify(resolved.problems));
const daemon = await startOrchestratord({ config: orchestratordConfig(resolved.config), store: slowed });
const atOnce = new AbortController();
let stopping: Promise<void> | undefined;
process.on("SIGTERM", () => {
  if (stopping !== undefined) atOnce.abort();
  stopping ??= daemon.stop(atOnce.signal);
});
