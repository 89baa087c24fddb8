// What an admission costs: the whole POST over HTTP, in front of an engine that is busy, so that every task
// waits; then the whole life of a task, from its POST to the end of its stream.

import { type Daemon, startDaemon, taskBody } from "./daemon.ts";
import { syncP99Ms } from "./disk.ts";
import { atLeast, atMost, type BenchResult, middle, round, shareAtLeast } from "./figure.ts";
import { type LoadResult, percentile, sendLoad } from "./http-load.ts";
import { postRequest } from "./line.ts";
import { live } from "./lives.ts";
import { type Program, startProgram } from "./process.ts";

const connections = 32;
const perRound = 6000;
const rounds = 5;
/** A daemon is judged as it runs for months, not while its code is being compiled. */
const warmup = { posts: 3500, lives: 8000 };
const livesPerRound = 4000;
const liveRounds = 3;
/** Seconds of a steady load, in windows: a pause that comes twice a minute belongs to one of them. */
const paced = { perS: 1000, perWindow: 3000, windows: 5 };

export async function admissionBench(): Promise<BenchResult> {
  const posts: { ours: LoadResult; bare: LoadResult; cpu: number }[] = [];
  const starts: { startedInMs: number; bytes: number }[] = [];
  // The first start of all compiles and keeps what it has compiled; every later one is what people see.
  await (await startBusy()).stop();
  for (let n = 0; n < rounds; n++) {
    console.error(`admission, round ${n + 1} of ${rounds}`);
    const bare = await startBare();
    const daemon = await startBusy();
    starts.push({ startedInMs: daemon.program.startedInMs, bytes: daemon.program.residentBytes() });
    try {
      await post(bare, "warm", warmup.posts);
      await post(daemon.program, "warm", warmup.posts);
      const [bareCpu, bareLoad] = await costOf(bare, () => post(bare, "x", perRound));
      const [ourCpu, ourLoad] = await costOf(daemon.program, () => post(daemon.program, "x", perRound));
      posts.push({ ours: ourLoad, bare: bareLoad, cpu: bareCpu / ourCpu });
    } finally {
      await daemon.stop();
      await bare.stop();
    }
  }
  const typical = middle(posts, ({ ours, bare }) => ours.perS / bare.perS);
  const start = middle(starts, ({ startedInMs }) => startedInMs);
  const { ours, bare, p99sMs } = await measureLives();
  const life = { name: "whole life of 16 tokens", value: ours, unit: "/s" };
  const syncMs = round(syncP99Ms());
  const idle = Math.round(middle(starts, ({ bytes }) => bytes).bytes / 2 ** 20);
  const figures = [
    shareAtLeast(0.35, {
      name: "POST /v1/tasks",
      value: typical.ours.perS,
      unit: "/s",
      baseline: typical.bare.perS,
    }),
    { name: "the same by processor time", value: round(typical.cpu), unit: "× bare" },
    shareAtLeast(0.25, { ...life, baseline: bare }),
    atLeast(2500, { ...life, name: `${life.name}, absolute`, value: Math.round(ours) }),
    { name: "one sync of this disk, P99", value: syncMs, unit: "ms" },
    atMost(10 + syncMs, {
      name: "admission P99 at 1 000 tasks/s",
      value: middle(p99sMs, (ms) => ms),
      unit: "ms",
    }),
    { name: "the same in the worst window", value: Math.max(...p99sMs), unit: "ms" },
    atMost(600, { name: "start to listening", value: Math.round(start.startedInMs), unit: "ms" }),
    atMost(150, { name: "resident when idle", value: idle, unit: "MiB" }),
  ];
  const conditions =
    `${connections} connections from one client process, ${perRound} posts a round, the middle of ${rounds}; P99 in ` +
    `${paced.windows} windows of ${paced.perWindow}, the middle one and the worst; log level ` +
    "info; tasks, journal and transcripts on disk; client, orchestrator and engine share the cores; bare is " +
    "node:http that parses and answers the same JSON, and for a life streams the tokens itself, without an engine";
  return { figures, conditions };
}

function startBare(): Promise<Program> {
  const args = [`${import.meta.dirname}/bare-server.ts`];
  return startProgram({ args, listening: /listening on (\S+)/ });
}

/** Its only slot works at something that never ends. */
async function startBusy(): Promise<Daemon> {
  const daemon = await startDaemon({
    engines: [{ ctx: 1_000_000, tokensPerSecond: 1 }],
    determinism: "strict",
    capacity: 10_000,
  });
  await sendLoad({
    url: daemon.url,
    requests: [postRequest(daemon.url, "/v1/tasks", taskBody("forever", 50_000))],
    connections: 1,
  });
  return daemon;
}

async function post({ url }: Program, name: string, count: number): Promise<LoadResult> {
  const requests = Array.from({ length: count }, (_, n) =>
    postRequest(url, "/v1/tasks", taskBody(`${name}-${n}`, 16)),
  );
  const result = await sendLoad({ url, requests, connections });
  requireAccepted(result, count);
  return result;
}

function requireAccepted({ statuses }: LoadResult, count: number): void {
  const accepted = statuses.get(202) ?? 0;
  if (accepted !== count) throw new Error(`Only ${accepted} of ${count} tasks were accepted.`);
}

async function costOf<T>(program: Program, run: () => Promise<T>): Promise<[cpuMs: number, result: T]> {
  const beforeMs = program.cpuMs();
  const result = await run();
  return [program.cpuMs() - beforeMs, result];
}

interface Lives {
  /** Per second, and for the bare server. */
  readonly ours: number;
  readonly bare: number;
  /** Of admissions at a steady rate, by window. */
  readonly p99sMs: readonly number[];
}

async function measureLives(): Promise<Lives> {
  const daemon = await startDaemon({
    engines: [{ slots: 16 }, { slots: 16 }],
    slots: 16,
    determinism: "best_effort",
  });
  const bare = await startBare();
  const lives = ({ url }: Pick<Program, "url">, name: string, count: number) =>
    live({ url, name, count, connections });
  try {
    await lives(bare, "warm", warmup.lives);
    await lives(daemon, "warm", warmup.lives);
    const measured: { ours: number; bare: number }[] = [];
    for (let n = 0; n < liveRounds; n++) {
      console.error(`whole lives, round ${n + 1} of ${liveRounds}`);
      const { perS } = await lives(bare, `x${n}`, livesPerRound);
      measured.push({ bare: perS, ours: (await lives(daemon, `x${n}`, livesPerRound)).perS });
    }
    const p99sMs: number[] = [];
    for (let window = 0; window < paced.windows; window++) {
      const requests = Array.from({ length: paced.perWindow }, (_, n) =>
        postRequest(daemon.url, "/v1/tasks", taskBody(`paced-${window}-${n}`, 1)),
      );
      const sent = await sendLoad({ url: daemon.url, requests, connections, perS: paced.perS });
      requireAccepted(sent, requests.length);
      p99sMs.push(round(percentile(sent.latenciesMs, 0.99)));
    }
    return { ...middle(measured, ({ ours, bare }) => ours / bare), p99sMs };
  } finally {
    await daemon.stop();
    await bare.stop();
  }
}
