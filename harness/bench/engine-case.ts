// One case of the engine bench, as a process: whenever its parent asks, it writes the same poems with
// node-llama-cpp directly, each stream in a context of its own over the same weights, and says how fast.
// It is the bare baseline.

import { parseArgs } from "node:util";
import { getLlama, type LlamaContextSequence, LlamaLogLevel, type LlamaModel } from "node-llama-cpp";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "" },
    streams: { type: "string", default: "1" },
    answers: { type: "string", default: "1" },
    tokens: { type: "string", default: "200" },
    ctx: { type: "string", default: "256" },
  },
});
const [streams, answers, maxTokens, ctx] = [values.streams, values.answers, values.tokens, values.ctx].map(
  Number,
) as [number, number, number, number];

const llama = await getLlama({
  gpu: false,
  build: "never",
  skipDownload: true,
  progressLogs: false,
  maxThreads: 0,
  logLevel: LlamaLogLevel.error,
});
const model = await llama.loadModel({ modelPath: values.model, gpuLayers: 0 });
const sequences = await Promise.all(
  Array.from({ length: streams }, async () => {
    const settings = { contextSize: ctx, batchSize: 64, threads: { ideal: 1, min: 1 } };
    return (await model.createContext({ sequences: 1, ...settings })).getSequence();
  }),
);
process.on("message", async () => {
  const startedAt = performance.now();
  const made = await Promise.all(sequences.map((sequence, stream) => write(model, sequence, stream)));
  const tokens = made.reduce((sum, one) => sum + one, 0);
  process.send?.({ tokens, tokensPerS: (1000 * tokens) / (performance.now() - startedAt) });
});
process.once("disconnect", () => llama.dispose());

async function write(model: LlamaModel, sequence: LlamaContextSequence, stream: number) {
  let made = 0;
  for (let at = 0; at < answers; at++) {
    await sequence.clearHistory();
    const prompt = model.tokenize("Write a haiku about the moon.<|poem|>", true);
    if (model.tokens.bos !== null) prompt.unshift(model.tokens.bos);
    const sampling = { temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05, seed: stream * 1000 + at };
    let left = maxTokens;
    for await (const token of sequence.evaluate(prompt, { ...sampling, yieldEogToken: true })) {
      made++;
      if (model.isEogToken(token) || --left === 0) break;
    }
  }
  return made;
}
