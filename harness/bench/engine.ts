// What the embedded engine costs above the library it is made of: the same answers, with the same seeds, once
// through its HTTP face and once by node-llama-cpp directly, in one run and in turn.

import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Figure } from "@llama-orch/contract";
import { type BenchResult, middle, shareAtLeast } from "./figure.ts";
import { Line, postRequest } from "./line.ts";
import { writeSlowModel } from "./slow-model.ts";

interface Case {
  readonly name: string;
  readonly model: string;
  readonly streams: number;
  /** Of each stream in one round, one after the other. */
  readonly answers: number;
  readonly maxTokens: number;
  /** Odd, so that one is in the middle. */
  readonly rounds: number;
  /** The share of the baseline that must be reached. */
  readonly share: number;
  /** Below 200 tokens/s, as models of a real size are on real machines. */
  readonly slow?: true;
}

const slowTokensPerS = 200;

interface Writer {
  /** The same answers each time, however often it is asked. */
  write(): Promise<Written>;
  stop(): Promise<void>;
}

interface Written {
  readonly tokens: number;
  readonly tokensPerS: number;
}

const root = new URL("../..", import.meta.url).pathname;
const haiku = join(root, "models", "haiku", "haiku.gguf");
const ctx = 256;

/**
 * On a shared machine the same work takes a tenth more or less from one second to the next. So both stay,
 * take turns of half a second, and the round with the middle ratio counts.
 */
export async function engineBench(): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), "llama-orch-bench-"));
  try {
    const slow = join(folder, "slow.gguf");
    writeSlowModel(haiku, slow);
    const poems = { model: haiku, maxTokens: 200, rounds: 21, share: 0.75 };
    const figures = [
      await measure({ name: "demo model, 1 stream", ...poems, streams: 1, answers: 40 }),
      await measure({ name: "demo model, 8 streams", ...poems, streams: 8, answers: 8 }),
      await measure({
        name: "slow model, 1 stream",
        model: slow,
        streams: 1,
        answers: 1,
        maxTokens: 60,
        // Both come out nearly the same here, so it takes more of them to tell them apart.
        rounds: 41,
        share: 0.97,
        slow: true,
      }),
    ];
    const conditions =
      `CPU, one thread per stream, both in turn and the round in the middle, client and engine share the cores; ` +
      `poems of about 25 tokens by the demo model, 60 tokens of a model with 200 MB of random weights; the ` +
      `baseline is node-llama-cpp without HTTP`;
    return { figures, conditions };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function measure(one: Case): Promise<Figure> {
  const both = [await startDirect(one), await startEmbedded(one)] as const;
  try {
    // A first round warms them up.
    await oneRound(both, 0);
    const measured: { direct: number; embedded: number }[] = [];
    for (let round = 1; round <= one.rounds; round++) {
      console.error(`${one.name}, round ${round} of ${one.rounds}`);
      measured.push(await oneRound(both, round));
    }
    const { direct, embedded } = middle(measured, (round) => round.embedded / round.direct);
    if (one.slow === true && direct >= slowTokensPerS) {
      throw new Error(`The slow model makes ${direct} tokens/s here; give writeSlowModel more layers.`);
    }
    return shareAtLeast(one.share, { name: one.name, value: embedded, unit: "tokens/s", baseline: direct });
  } finally {
    for (const each of both) await each.stop();
  }
}

/** Who begins changes from round to round, so that a drift within one favours nobody. */
async function oneRound(both: readonly [Writer, Writer], round: number) {
  const written: [Written?, Written?] = [];
  for (const at of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const))
    written[at] = await both[at].write();
  const [direct, embedded] = written as [Written, Written];
  if (direct.tokens !== embedded.tokens) {
    throw new Error(
      `Of the same seeds ${direct.tokens} and ${embedded.tokens} tokens came: compare the two.`,
    );
  }
  return { direct: direct.tokensPerS, embedded: embedded.tokensPerS };
}

async function startDirect({ model, streams, answers, maxTokens }: Case): Promise<Writer> {
  const options = { model, streams, answers, tokens: maxTokens, ctx };
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = fork(join(import.meta.dirname, "engine-case.ts"), flags, { env: threads(streams) });
  const ended = once(child, "exit").then(() => {
    throw new Error("The baseline of the engine bench ended before it was told to.");
  });
  ended.catch(() => {
    // Whoever has it write hears of it; who does not had it end.
  });
  return {
    async write() {
      child.send("write");
      const [written] = (await Promise.race([once(child, "message"), ended])) as [Written];
      return written;
    },
    async stop() {
      if (!child.connected) return;
      child.disconnect();
      await once(child, "exit");
    },
  };
}

async function startEmbedded({ model, streams, answers, maxTokens }: Case): Promise<Writer> {
  const program = join(root, "engines", "llamacpp", "embedded", "main.ts");
  const flags = ["--model", model, "--slots", `${streams}`, "--ctx", `${ctx}`, "--threads", "1"];
  const engine = spawn(process.execPath, [program, ...flags], {
    env: threads(streams),
    stdio: ["pipe", "ignore", "pipe"],
  });
  const url = await listening(engine.stderr);
  while ((await fetch(`${url}/health`)).status !== 200) await new Promise((go) => setTimeout(go, 20));
  const lines = await Promise.all(Array.from({ length: streams }, () => Line.open(url)));
  return {
    async write() {
      const startedAt = performance.now();
      const made = await Promise.all(
        lines.map(async (line, stream) => {
          let tokens = 0;
          for (let at = 0; at < answers; at++)
            tokens += await answer(line, url, stream * 1000 + at, maxTokens);
          return tokens;
        }),
      );
      const tokens = made.reduce((sum, one) => sum + one, 0);
      return { tokens, tokensPerS: (1000 * tokens) / (performance.now() - startedAt) };
    },
    async stop() {
      for (const line of lines) line.close();
      if (engine.kill("SIGTERM")) await once(engine, "exit");
    },
  };
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
async function answer(line: Line, url: string, seed: number, maxTokens: number): Promise<number> {
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
  const { text } = await line.ask(postRequest(url, "/completion", JSON.stringify(asked)));
  return Number(/"tokens_predicted":(\d+)/.exec(text.slice(text.lastIndexOf("data: ")))?.[1]);
}
