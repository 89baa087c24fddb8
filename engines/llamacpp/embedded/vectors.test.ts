import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { LlamaModel } from "node-llama-cpp";
import { readConfig } from "./config.ts";
import { haiku } from "./fixtures/started-engine.ts";
import { type LoadedModel, loadModel } from "./model.ts";
import { tokenizerOf } from "./prompt.ts";
import { vectorsOf } from "./vectors.ts";

describe("embeddings", () => {
  let loaded: LoadedModel;
  before(async () => {
    loaded = await loadModel(readConfig(["--model", haiku], {}));
  });
  after(() => loaded.llama.dispose());

  const over = (model: LlamaModel) => vectorsOf(model, tokenizerOf(loaded.model), loaded.ctx, loaded.shape);
  const here = new AbortController().signal;

  test("end between two inputs when their caller goes", async () => {
    const vectors = over(loaded.model);
    await vectors.embed({ input: "the moon" }, here);
    const gone = new AbortController();
    const running = vectors.embed({ input: Array(64).fill("the moon") }, gone.signal);
    gone.abort();
    await assert.rejects(running, { name: "AbortError" });
    assert.equal((await vectors.embed({ input: ["rain"] }, here)).vectors.length, 1);
  });

  test("whose context could not be made come once it can be", async () => {
    let tries = 0;
    const model = Object.create(loaded.model, {
      createEmbeddingContext: {
        value(options: Parameters<LlamaModel["createEmbeddingContext"]>[0]) {
          tries += 1;
          if (tries === 1) return Promise.reject(new Error("no memory at the moment"));
          return loaded.model.createEmbeddingContext(options);
        },
      },
    }) as LlamaModel;
    const vectors = over(model);
    await assert.rejects(vectors.embed({ input: "the moon" }, here), /no memory/);
    for (const input of ["the moon", "rain"]) await vectors.embed({ input }, here);
    assert.equal(tries, 2);
  });
});
