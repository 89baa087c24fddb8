// The demo model in the real llama.cpp, through node-llama-cpp: loads it and writes one poem at a time.
// The types say what is used of the library and no more, so this compiles where it is not installed.

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

type Token = number;
type Sampling = { temperature: number; topK: number; topP: number; minP: number; seed: number };
type Sequence = {
  clearHistory(): Promise<void>;
  evaluate(tokens: Token[], sampling: Sampling): AsyncIterable<Token>;
};
type Model = {
  tokenize(text: string, special: boolean): Token[];
  detokenize(tokens: Token[]): string;
  tokens: { bos: Token };
  createContext(options: { contextSize: number; threads: number }): Promise<{ getSequence(): Sequence }>;
};
type Llama = { loadModel(options: { modelPath: string }): Promise<Model>; dispose(): Promise<void> };
type Library = {
  getLlama(options: { gpu: false; build: "never"; skipDownload: true; logLevel: "error" }): Promise<Llama>;
};

export async function openPoet(library: string, modelPath: string): Promise<Poet> {
  const { getLlama } = (await import(library)) as Library;
  const llama = await getLlama({ gpu: false, build: "never", skipDownload: true, logLevel: "error" });
  const model = await llama.loadModel({ modelPath });
  const context = await model.createContext({ contextSize: 256, threads: 1 });
  const sequence = context.getSequence();
  return {
    async write(prompt, { chat, seed, temperature }) {
      const asked = [model.tokens.bos, ...model.tokenize(prompt, false)];
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
