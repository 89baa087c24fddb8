// What the embedded engine costs above the library it is made of: the same answers, with the same seeds, once
// through its HTTP face and once by node-llama-cpp directly, in one run and in turn.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import type { Figure } from "@llama-orch/contract";
import { type BenchResult, middle, shareAtLeast } from "./figure.ts";
import { writeSlowModel } from "./slow-model.ts";

interface Case {
  readonly name: string;
  readonly model: string;
  readonly streams: number;
  /** Of each stream, one after the other. */
  readonly answers: number;
  readonly maxTokens: number;
  /** The share of the baseline that must be reached. */
  readonly share: number;
  /** Below 200 tokens/s, as models of a real size are on real machines. */
  readonly slow?: true;
}

const slowTokensPerS = 200;

const root = new URL("../..", import.meta.url).pathname;
const haiku = join(root, "models", "haiku", "haiku.gguf");
/** Both are measured in turn, and the round with the middle ratio counts: shared machines drift. */
const rounds = 5;
const ctx = 256;

export async function engineBench(): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), "llama-orch-bench-"));
  try {
    const slow = join(folder, "slow.gguf");
    writeSlowModel(haiku, slow);
    const poems = { model: haiku, maxTokens: 200, share: 0.75 };
    const figures = [
      await measure({ name: "demo model, 1 stream", ...poems, streams: 1, answers: 100 }),
      await measure({ name: "demo model, 8 streams", ...poems, streams: 8, answers: 30 }),
      await measure({
        name: "slow model, 1 stream",
        model: slow,
        streams: 1,
        answers: 2,
        maxTokens: 60,
        share: 0.97,
        slow: true,
      }),
    ];
    const conditions =
      `CPU, one thread per stream, the middle of ${rounds} rounds, client and engine share the cores; poems of about 25 tokens by ` +
      `the demo model, 60 tokens of a model with 200 MB of random weights; the baseline is node-llama-cpp without HTTP`;
    return { figures, conditions };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function measure(one: Case): Promise<Figure> {
  const measuredRounds: { direct: number; embedded: number }[] = [];
  for (let round = 1; round <= rounds; round++) {
    console.error(`${one.name}, round ${round} of ${rounds}`);
    measuredRounds.push({ direct: await measureDirect(one), embedded: await measureEmbedded(one) });
  }
  const { direct, embedded } = middle(measuredRounds, (round) => round.embedded / round.direct);
  if (one.slow === true && direct >= slowTokensPerS) {
    throw new Error(`The slow model makes ${direct} tokens/s here; give writeSlowModel more layers.`);
  }
  return shareAtLeast(one.share, { name: one.name, value: embedded, unit: "tokens/s", baseline: direct });
}

async function measureDirect({ model, streams, answers, maxTokens }: Case): Promise<number> {
  const options = { model, streams, answers, tokens: maxTokens, ctx };
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const program = join(import.meta.dirname, "engine-case.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...flags], {
    env: threads(streams),
  });
  return (JSON.parse(stdout) as { tokensPerS: number }).tokensPerS;
}

async function measureEmbedded({ model, streams, answers, maxTokens }: Case): Promise<number> {
  const program = join(root, "engines", "llamacpp", "embedded", "main.ts");
  const flags = ["--model", model, "--slots", `${streams}`, "--ctx", `${ctx}`, "--threads", "1"];
  const engine = spawn(process.execPath, [program, ...flags], {
    env: threads(streams),
    stdio: ["pipe", "ignore", "pipe"],
  });
  const agent = new Agent({ keepAlive: true, maxSockets: streams });
  try {
    const url = await listening(engine.stderr);
    while ((await fetch(`${url}/health`)).status !== 200) await new Promise((go) => setTimeout(go, 20));
    const run = async (count: number) => {
      const lane = async (stream: number) => {
        let made = 0;
        for (let at = 0; at < count; at++) made += await answer(url, agent, stream * 1000 + at, maxTokens);
        return made;
      };
      const made = await Promise.all(Array.from({ length: streams }, (_, stream) => lane(stream)));
      return made.reduce((sum, tokens) => sum + tokens, 0);
    };
    await run(1);
    const startedAt = performance.now();
    const made = await run(answers);
    return (1000 * made) / (performance.now() - startedAt);
  } finally {
    agent.destroy();
    engine.kill("SIGTERM");
    await once(engine, "exit");
  }
}

/** As the provisioner sets it: streams decode on threads of libuv's pool. */
function threads(streams: number): Record<string, string> {
  return { UV_THREADPOOL_SIZE: String(Math.min(streams, availableParallelism()) + 2) };
}

async function listening(stderr: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: stderr })) {
    const url = /listening on (http:\S+)/.exec(line)?.[1];
    if (url !== undefined) return url;
    console.error(line);
  }
  throw new Error("The embedded engine ended before it listened.");
}

/** Tokens of one streamed answer; of its frames only the last is read. */
function answer(url: string, agent: Agent, seed: number, maxTokens: number): Promise<number> {
  const asked = {
    prompt: "Write a haiku about the moon.<|poem|>",
    temperature: 0.8,
    top_k: 40,
    top_p: 0.95,
    min_p: 0.05,
    seed,
    n_predict: maxTokens,
    stream: true,
    return_tokens: true,
    cache_prompt: false,
  };
  return new Promise((resolve, reject) => {
    const headers = { "Content-Type": "application/json" };
    const call = request(`${url}/completion`, { method: "POST", agent, headers }, (response) => {
      let last = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        last = (last + text).slice(-4096);
      });
      response.on("end", () => {
        const frame = last.slice(last.lastIndexOf("data: "));
        resolve(Number(/"tokens_predicted":(\d+)/.exec(frame)?.[1]));
      });
      response.on("error", reject);
    });
    call.on("error", reject).end(JSON.stringify(asked));
  });
}
