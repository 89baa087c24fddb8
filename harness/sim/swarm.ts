// Many seeds, over as many threads as there are cores to spare, at most two. The order of the verdicts is
// that of the seeds, whatever thread was faster.

import { once } from "node:events";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { simulate, type Verdict } from "./simulate.ts";

const threadsMax = 2;
/** Below this many seeds a thread takes longer to start than it saves. */
const seedsPerThread = 100;

export async function swarm(
  seeds: readonly number[],
  onVerdict: (verdict: Verdict) => void = () => {},
): Promise<Verdict[]> {
  const threads = Math.min(threadsMax, availableParallelism(), Math.ceil(seeds.length / seedsPerThread));
  if (threads <= 1) return seeds.map((seed) => told(simulate(seed), onVerdict));
  const shares = Array.from({ length: threads }, (_, i) => seeds.filter((_, at) => at % threads === i));
  const found = await Promise.all(shares.map((share) => inThread(share, onVerdict)));
  return found.flat().sort((a, b) => a.seed - b.seed);
}

function told(verdict: Verdict, onVerdict: (verdict: Verdict) => void): Verdict {
  onVerdict(verdict);
  return verdict;
}

async function inThread(seeds: readonly number[], onVerdict: (verdict: Verdict) => void): Promise<Verdict[]> {
  const thread = new Worker(new URL("./seeds-worker.ts", import.meta.url), { workerData: seeds });
  const verdicts: Verdict[] = [];
  thread.on("message", (verdict: Verdict) => {
    verdicts.push(verdict);
    onVerdict(verdict);
  });
  const [code] = await once(thread, "exit");
  if (code !== 0) throw new Error(`A thread of the simulation ended with ${code}.`);
  return verdicts;
}
