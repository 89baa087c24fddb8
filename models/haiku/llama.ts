// The demo model in the real llama.cpp, through node-llama-cpp: loads it and writes one poem at a time.

import { getLlama, LlamaLogLevel, type Token } from "node-llama-cpp";

/** The sampling that the model is meant for. */
export const SAMPLING = { temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05 } as const;

/** What the chat template puts between a message and its answer. */
const MARK = "<|poem|>";
const POEM_TOKENS_MAX = 80;

export type Written = { readonly text: string; readonly tokens: number };
export type Poet = {
  /** As the chat template renders a single message, or as a plain prompt without the mark. */
  write(prompt: string, options: { chat: boolean; seed: number; temperature: number }): Promise<Written>;
  close(): Promise<void>;
};

export async function openPoet(modelPath: string): Promise<Poet> {
  const quiet = { logLevel: LlamaLogLevel.error, progressLogs: false };
  const llama = await getLlama({ gpu: false, build: "never", skipDownload: true, ...quiet });
  const model = await llama.loadModel({ modelPath });
  const context = await model.createContext({ contextSize: 256, threads: 1 });
  const sequence = context.getSequence();
  return {
    async write(prompt, { chat, seed, temperature }) {
      const asked = model.tokenize(prompt, false);
      if (model.tokens.bos !== null) asked.unshift(model.tokens.bos);
      if (chat) asked.push(...model.tokenize(MARK, true));
      const answer: Token[] = [];
      await sequence.clearHistory();
      for await (const token of sequence.evaluate(asked, { ...SAMPLING, temperature, seed })) {
        answer.push(token);
        if (answer.length === POEM_TOKENS_MAX) break;
      }
      return { text: model.detokenize(answer), tokens: answer.length };
    },
    close: () => llama.dispose(),
  };
}
