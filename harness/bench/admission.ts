// What an admission costs: the whole POST over HTTP, in front of an engine that is busy, so that every task
// waits; then the whole life of a task, from its POST to the end of its stream.

import { type Daemon, startDaemon, taskBody } from "./daemon.ts";
import { atLeast, atMost, type BenchResult, round } from "./figure.ts";
import { type LoadResult, percentile, postRequest, sendLoad } from "./http-load.ts";
import { type Lives, live } from "./lives.ts";
import { type Program, startProgram } from "./process.ts";

const connections = 32;
const perRound = 6000;
const rounds = 4;
/** The compiler has seen everything by then. */
const warmup = 2000;

export async function admissionBench(): Promise<BenchResult> {
  const posts: { ours: LoadResult; bare: LoadResult; cpu: number }[] = [];
  let startedInMs = 0;
  let idleBytes = 0;
  for (let n = 0; n < rounds; n++) {
    console.error(`admission, round ${n + 1} of ${rounds}`);
    const bare = await startBare();
    const daemon = await startBusy();
    startedInMs = Math.max(startedInMs, daemon.program.startedInMs);
    idleBytes = Math.max(idleBytes, daemon.program.residentBytes());
    try {
      await post(bare, "warm", warmup);
      await post(daemon.program, "warm", warmup);
      const [bareCpu, bareLoad] = await costOf(bare, () => post(bare, "x", perRound));
      const [ourCpu, ourLoad] = await costOf(daemon.program, () => post(daemon.program, "x", perRound));
      posts.push({ ours: ourLoad, bare: bareLoad, cpu: bareCpu / ourCpu });
    } finally {
      await daemon.stop();
      await bare.stop();
    }
  }
  const best = posts.reduce((a, b) => (b.ours.perS > a.ours.perS ? b : a));
  const { lives, bare, paced } = await measureLives();
  const figures = [
    ratioAtLeast(0.35, "POST /v1/tasks", best.ours.perS, best.bare.perS),
    { name: "the same by processor time", value: round(best.cpu), unit: "× bare" },
    ratioAtLeast(0.25, "whole life of 16 tokens", lives.perS, bare),
    atLeast(2500, { name: "whole life of 16 tokens, absolute", value: Math.round(lives.perS), unit: "/s" }),
    atMost(10, {
      name: "admission P99 at 1 000 tasks/s",
      value: round(percentile(paced.latenciesMs, 0.99)),
      unit: "ms",
    }),
    atMost(600, { name: "start to listening", value: Math.round(startedInMs), unit: "ms" }),
    atMost(150, { name: "resident when idle", value: Math.round(idleBytes / 2 ** 20), unit: "MiB" }),
  ];
  const conditions =
    `${connections} connections from one client process, ${perRound} posts a round, best of ${rounds}; log level info; ` +
    "client, orchestrator and engine share the cores; bare is node:http that parses and answers the same JSON";
  return { figures, conditions };
}

function ratioAtLeast(goal: number, name: string, value: number, baseline: number) {
  const ratio = round(value / baseline);
  return {
    name,
    value: Math.round(value),
    unit: "/s",
    baseline: Math.round(baseline),
    ratio,
    goal,
    met: ratio >= goal,
  };
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
  const accepted = result.statuses.get(202) ?? 0;
  if (accepted !== count) throw new Error(`Only ${accepted} of ${count} tasks were accepted.`);
  return result;
}

async function costOf<T>(program: Program, run: () => Promise<T>): Promise<[cpuMs: number, result: T]> {
  const beforeMs = program.cpuMs();
  const result = await run();
  return [program.cpuMs() - beforeMs, result];
}

async function measureLives(): Promise<{ lives: Lives; bare: number; paced: LoadResult }> {
  console.error("whole lives");
  const daemon = await startDaemon({
    engines: [{ slots: 16 }, { slots: 16 }],
    slots: 16,
    determinism: "best_effort",
  });
  const bare = await startBare();
  try {
    await live({ url: daemon.url, name: "warm", count: 1000, connections });
    const lives = await live({ url: daemon.url, name: "x", count: 5000, connections });
    await post(bare, "warm", warmup);
    const { perS } = await post(bare, "x", perRound);
    const requests = Array.from({ length: 3000 }, (_, n) =>
      postRequest(daemon.url, "/v1/tasks", taskBody(`paced-${n}`, 1)),
    );
    const paced = await sendLoad({ url: daemon.url, requests, connections, perS: 1000 });
    return { lives, bare: perS, paced };
  } finally {
    await daemon.stop();
    await bare.stop();
  }
}
