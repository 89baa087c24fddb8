// Open streams: what a thousand of them cost in memory, what each further one costs, how fast a cancel
// reaches the engine, and whether everything is back at zero when readers have gone away at random.

import { get, type IncomingMessage } from "node:http";
import type { Figure } from "@llama-orch/contract";
import { type Daemon, type DaemonOptions, startDaemon, taskBody } from "./daemon.ts";
import { atMost, type BenchResult, round } from "./figure.ts";
import { percentile, sendLoad } from "./http-load.ts";
import { postRequest } from "./line.ts";

const few = 1000;
const many = 10_000;
const cancels = 100;

export async function streamsBench(): Promise<BenchResult> {
  const figures = [...(await openStreams()), ...(await cancelTimes())];
  const conditions =
    `${few} and then ${many} tasks that wait, each with a reader on a connection of its own; readers and orchestrator ` +
    "share the cores; cancels one after the other of running tasks, until the engine's slot is free";
  return { figures, conditions };
}

async function openStreams(): Promise<Figure[]> {
  const options: DaemonOptions = {
    engines: [{ ctx: 1_000_000, tokensPerSecond: 1 }],
    determinism: "strict",
    config: { stream: { disconnect_grace_ms: 0 } },
  };
  // What a first start after a change leaves in memory is the compiler; every later one goes without it.
  await (await startDaemon(options)).stop();
  const daemon = await startDaemon(options);
  try {
    await submit(daemon, ["forever"], 50_000);
    console.error(`${few} streams`);
    const readers = await open(daemon, 0, few);
    const atFew = await settled(daemon);
    console.error(`${many} streams`);
    readers.push(...(await open(daemon, few, many)));
    const atMany = await settled(daemon);
    console.error("readers go away");
    for (const reader of shuffled(readers)) reader.destroy();
    await fetch(`${daemon.url}/v1/tasks/forever/cancel`, { method: "POST" });
    const left = await inFlight(daemon);
    return [
      atMost(180, {
        name: `resident at ${few} open streams`,
        value: Math.round(atFew / 2 ** 20),
        unit: "MiB",
      }),
      atMost(30, {
        name: "each further stream",
        value: round((atMany - atFew) / (many - few) / 1024),
        unit: "KiB",
      }),
      atMost(0, { name: "tasks in flight after all readers left", value: left, unit: "" }),
    ];
  } finally {
    await daemon.stop();
  }
}

async function submit({ url }: Daemon, names: readonly string[], maxTokens: number): Promise<void> {
  const requests = names.map((name) => postRequest(url, "/v1/tasks", taskBody(name, maxTokens)));
  const { statuses } = await sendLoad({ url, requests, connections: Math.min(16, names.length) });
  if (statuses.get(202) !== names.length) throw new Error(`Not all tasks were accepted: ${[...statuses]}.`);
}

async function open(daemon: Daemon, from: number, to: number): Promise<IncomingMessage[]> {
  const names = Array.from({ length: to - from }, (_, n) => `s-${from + n}`);
  await submit(daemon, names, 16);
  const readers: IncomingMessage[] = [];
  for (let n = 0; n < names.length; n += 100) {
    const group = names.slice(n, n + 100).map((name) => follow(`${daemon.url}/v1/tasks/${name}/stream`));
    readers.push(...(await Promise.all(group)));
  }
  return readers;
}

function follow(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      response.on("error", () => {});
      response.resume();
      resolve(response);
    }).on("error", reject);
  });
}

/** After a second of quiet, in which the collector has had its chance. */
async function settled({ program }: Daemon): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n < 10; n++) {
    await new Promise((resolve) => setTimeout(resolve, 300));
    least = Math.min(least, program.residentBytes());
  }
  return least;
}

/** What the gauges of waiting and running tasks show together once they stand still. */
async function inFlight({ url }: Daemon): Promise<number> {
  let before = -1;
  for (;;) {
    const text = await (await fetch(`${url}/metrics`)).text();
    const gauges = [...text.matchAll(/^(?:queue_depth|active_leases)\{[^}]*\} (\d+)$/gm)];
    const now = gauges.reduce((sum, [, value]) => sum + Number(value), 0);
    if (now === before) return now;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function cancelTimes(): Promise<Figure[]> {
  console.error("cancels");
  const daemon = await startDaemon({
    engines: [{ ctx: 1_000_000, tokensPerSecond: 200 }],
    determinism: "strict",
  });
  const [engine] = daemon.engines;
  const times: number[] = [];
  try {
    for (let n = 0; n < cancels; n++) {
      const name = `c-${n}`;
      await submit(daemon, [name], 10_000);
      const reader = await follow(`${daemon.url}/v1/tasks/${name}/stream`);
      while (!(await isBusy(engine?.url as string)));
      const startMs = performance.now();
      await fetch(`${daemon.url}/v1/tasks/${name}/cancel`, { method: "POST" });
      while (await isBusy(engine?.url as string));
      times.push(performance.now() - startMs);
      reader.destroy();
    }
  } finally {
    await daemon.stop();
  }
  times.sort((a, b) => a - b);
  return [
    atMost(100, {
      name: "cancel until the engine has stopped, P99",
      value: round(percentile(times, 0.99)),
      unit: "ms",
    }),
  ];
}

async function isBusy(engine: string): Promise<boolean> {
  const slots = (await (await fetch(`${engine}/slots`)).json()) as { is_processing: boolean }[];
  return slots.some(({ is_processing }) => is_processing);
}

/** The same order every time. */
function shuffled<T>(items: readonly T[]): T[] {
  const order = items.map((item, n) => ({ item, key: Math.imul(n + 1, 0x9e3779b1) >>> 0 }));
  return order.sort((a, b) => a.key - b.key).map(({ item }) => item);
}
