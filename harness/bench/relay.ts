// How many tokens a second go from an engine through the orchestrator to readers, strict and best effort,
// beside a minimal relay in front of the same engines; and how much later the first token comes.

import type { Figure } from "@llama-orch/contract";
import { type StartedFake, spawnFake } from "@llama-orch/engines/fake";
import { type Daemon, startDaemon, taskBody } from "./daemon.ts";
import { atLeast, atMost, type BenchResult, middle, round, shareAtLeast } from "./figure.ts";
import { percentile, sendLoad } from "./http-load.ts";
import { postRequest } from "./line.ts";
import { type Program, startProgram } from "./process.ts";
import { readStream } from "./stream-load.ts";

const streams = 4;
const tokens = 40_000;
const rounds = 5;
const firstTokensOf = 8;
const firstTokens = 300;
/** What engines do: a few tokens in one packet when they are fast. */
const engine = { ctx: 1_000_000, framesPerWrite: 8 } as const;

interface Round {
  readonly strict: number;
  readonly bestEffort: number;
  readonly minimal: number;
}

export async function relayBench(): Promise<BenchResult> {
  const all: Round[] = [];
  for (let n = 0; n < rounds; n++) {
    console.error(`relay, round ${n + 1} of ${rounds}`);
    all.push(await oneRound());
  }
  const typical = middle(all, ({ strict, minimal }) => strict / minimal);
  const both = middle(all, ({ strict, bestEffort }) => bestEffort / strict);
  const unit = "tokens/s";
  const strict = { name: "strict, beside a minimal relay", value: typical.strict, unit };
  const bestEffort = { name: "best effort, beside strict", value: both.bestEffort, unit };
  const figures: Figure[] = [
    shareAtLeast(0.8, { ...strict, baseline: typical.minimal }),
    atLeast(80_000, { name: "strict, absolute", value: Math.round(typical.strict), unit }),
    shareAtLeast(0.9, { ...bestEffort, baseline: both.strict }),
    ...(await addedFirstToken()),
  ];
  const conditions =
    `${streams} streams of ${tokens} tokens at once from ${streams} engine processes, 8 frames to a packet, the middle ` +
    `of ${rounds}; log level info; readers, orchestrator and engines share the cores`;
  return { figures, conditions };
}

async function oneRound(): Promise<Round> {
  return {
    minimal: await minimalTokensPerS(),
    strict: await tokensPerS("strict"),
    bestEffort: await tokensPerS("best_effort"),
  };
}

async function tokensPerS(determinism: "strict" | "best_effort"): Promise<number> {
  const daemon = await startDaemon({
    engines: Array.from({ length: streams }, () => engine),
    determinism,
    config: { slo: {} },
  });
  try {
    await throughDaemon(daemon, "warm", tokens / 4);
    return await throughDaemon(daemon, "x", tokens);
  } finally {
    await daemon.stop();
  }
}

async function throughDaemon({ url }: Daemon, name: string, count: number): Promise<number> {
  const startMs = performance.now();
  const all = Array.from({ length: streams }, async (_, n) => {
    const id = `${name}-${n}`;
    const requests = [postRequest(url, "/v1/tasks", taskBody(id, count))];
    await sendLoad({ url, requests, connections: 1 });
    return readStream(`${url}/v1/tasks/${id}/stream`);
  });
  return perS(await Promise.all(all), startMs, count);
}

async function minimalTokensPerS(): Promise<number> {
  const engines = await Promise.all(Array.from({ length: streams }, () => spawnFake(engine)));
  const relay = await startMinimal(engines);
  const run = async (count: number) => {
    const startMs = performance.now();
    const urls = engines.map((_, n) => `${relay.url}/${n}?tokens=${count}`);
    return perS(await Promise.all(urls.map((url) => readStream(url))), startMs, count);
  };
  try {
    await run(tokens / 4);
    return await run(tokens);
  } finally {
    await relay.stop();
    await Promise.all(engines.map((each) => each.stop()));
  }
}

function startMinimal(engines: readonly StartedFake[]): Promise<Program> {
  const args = [`${import.meta.dirname}/minimal-relay.ts`, ...engines.map(({ url }) => url)];
  return startProgram({ args, listening: /listening on (\S+)/ });
}

/** @throws when a stream broke off: a frame or two between packets may be missed, no more */
function perS(read: readonly { readonly frames: number }[], startMs: number, count: number): number {
  const tookMs = performance.now() - startMs;
  for (const { frames } of read) {
    if (frames < 0.98 * count) throw new Error(`A stream of ${count} tokens ended after ${frames}.`);
  }
  return (1000 * count * read.length) / tookMs;
}

/**
 * One task after the other on an idle installation, held against the same engine asked directly. It is paced,
 * as engines are: a stream that is over before anybody could follow it would be measured by its end.
 */
async function addedFirstToken(): Promise<Figure[]> {
  console.error("first tokens");
  const daemon = await startDaemon({
    engines: [{ framesPerWrite: 1, tokensPerSecond: 1000 }],
    determinism: "strict",
  });
  const [{ url: engine }] = daemon.engines as [StartedFake];
  const asked = JSON.stringify({
    prompt: "Write a haiku about the moon.",
    n_predict: firstTokensOf,
    stream: true,
    seed: 7,
  });
  const direct: number[] = [];
  const ours: FirstToken[] = [];
  try {
    for (let n = 0; n < firstTokens; n++) {
      direct.push((await readStream(`${engine}/completion`, asked)).firstTokenMs);
      ours.push(await firstTokenMs(daemon, `first-${n}`));
    }
  } finally {
    await daemon.stop();
  }
  const late = (times: readonly number[]) => times.slice(firstTokens / 3).sort((a, b) => a - b);
  const whole = late(ours.map(({ admittedMs, streamedMs }) => admittedMs + streamedMs));
  const streamed = late(ours.map(({ streamedMs }) => streamedMs));
  const added = (times: readonly number[], share: number) =>
    round(percentile(times, share) - percentile(late(direct), share));
  return [
    atMost(1, { name: "added first-token time, P50", value: added(whole, 0.5), unit: "ms" }),
    atMost(5, { name: "added first-token time, P99", value: added(whole, 0.99), unit: "ms" }),
    { name: "the same from the 202 on, P50", value: added(streamed, 0.5), unit: "ms" },
  ];
}

interface FirstToken {
  /** From handing the task in to its durable 202. */
  readonly admittedMs: number;
  /** From there on: its stream is asked for at once. */
  readonly streamedMs: number;
}

async function firstTokenMs({ url }: Daemon, id: string): Promise<FirstToken> {
  const startMs = performance.now();
  await readStream(`${url}/v1/tasks`, taskBody(id, firstTokensOf));
  const admittedMs = performance.now() - startMs;
  return { admittedMs, streamedMs: (await readStream(`${url}/v1/tasks/${id}/stream`)).firstTokenMs };
}
