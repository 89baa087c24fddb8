import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { haiku, type StartedEngine, startReadyEngine } from "./fixtures/started-engine.ts";

describe("what it answers besides completions", () => {
  let engine: StartedEngine;
  before(async () => {
    engine = await startReadyEngine({ flags: ["--slots", "2"] });
  });
  after(() => engine.stop());

  test("props have llama-server's keys and ours, with the digest of the file", async () => {
    const { json } = await engine.get("/props");
    const digest = createHash("sha256").update(readFileSync(haiku)).digest("hex");
    assert.equal(json.model_digest, `sha256:${digest}`);
    assert.deepEqual([json.total_slots, json.default_generation_settings.n_ctx], [2, 256]);
    assert.deepEqual([json.model_path, json.model_alias, json.quant], [haiku, "haiku", "F16"]);
    assert.deepEqual([json.bos_token, json.eos_token, json.compute], ["<s>", "</s>", "cpu"]);
    assert.deepEqual(json.features, ["completion", "interruptible_decode", "json_schema", "embedding"]);
    assert.match(json.chat_template, /poem/);
    assert.match(json.build_info, /^node-llama-cpp-\d+\.\d+\.\d+$/);
    for (const part of [
      "engine",
      "compute",
      "cpu",
      "threads",
      "ctx",
      "batch",
      "attention",
      "kv",
      "contexts",
    ]) {
      assert.match(json.compute_fingerprint, new RegExp(`(^|; )${part}=[^;]+`));
    }
  });

  test("text becomes tokens and the same text again", async () => {
    for (const content of ["the moon", "  two spaces", "é€\u{1f600}", "line\nbreak", "a"]) {
      const { json } = await engine.post("/tokenize", { content });
      const back = await engine.post("/detokenize", json);
      assert.equal(back.json.content, content);
    }
    const special = await engine.post("/tokenize", { content: "<|poem|>", add_special: true });
    assert.deepEqual(special.json.tokens, [1, 3]);
    const plain = await engine.post("/tokenize", { content: "<|poem|>", parse_special: false });
    assert.ok(plain.json.tokens.length > 1);
    const pieces = await engine.post("/tokenize", { content: "the moon", with_pieces: true });
    assert.deepEqual(pieces.json.tokens[1], { id: 376, piece: " moon" });
    assert.equal((await engine.post("/detokenize", { tokens: [99_999] })).status, 400);
    const list = await engine.post("/tokenize", { content: ["the", -1, "moon"], add_special: true });
    assert.deepEqual(
      list.json.tokens.filter((id: number) => id <= 1),
      [1, -1],
    );
    for (const content of [undefined, 7, [1.5], [["the"]]]) {
      assert.equal((await engine.post("/tokenize", { content })).status, 400);
    }
  });

  test("messages become a prompt by the model's own template, without a second beginning", async () => {
    const messages = [{ role: "user", content: " Write a haiku about the moon. " }];
    const { json } = await engine.post("/apply-template", { messages });
    assert.deepEqual(json, { prompt: "Write a haiku about the moon.<|poem|>" });
    assert.equal((await engine.post("/apply-template", { messages: [] })).status, 400);
  });

  test("embeddings have length one, come in both shapes and are alike for like texts", async () => {
    const { json } = await engine.post("/v1/embeddings", { input: ["the moon", "the moon", "tax office"] });
    const [a, b, c]: number[][] = json.data.map((item: { embedding: number[] }) => item.embedding);
    assert.ok(a && b && c);
    const dot = (x: number[], y: number[]) => x.reduce((sum, value, at) => sum + value * (y[at] ?? 0), 0);
    assert.ok(Math.abs(dot(a, a) - 1) < 1e-6);
    assert.ok(dot(a, b) > dot(a, c));
    assert.ok(json.usage.prompt_tokens > 0);
    const native = await engine.post("/embedding", { content: "the moon" });
    assert.deepEqual(native.json, [{ index: 0, embedding: [a] }]);
    const packed = await engine.post("/v1/embeddings", { input: "the moon", encoding_format: "base64" });
    const bytes = Buffer.from(packed.json.data[0].embedding, "base64");
    assert.equal(bytes.length, 4 * a.length);
    assert.ok(Math.abs(bytes.readFloatLE(0) - (a[0] ?? 0)) < 1e-6);
  });

  test("a model that cannot rank says so as llama-server does", async () => {
    const { status, json } = await engine.post("/v1/rerank", { query: "a", documents: ["b"] });
    assert.deepEqual([status, json.error.type], [501, "not_supported_error"]);
  });

  test("slots and metrics tell what was decoded", async () => {
    const { json } = await engine.post("/completion", { prompt: "rain", n_predict: 4, id_slot: 1 });
    assert.equal(json.id_slot, 1);
    const slots = (await engine.get("/slots")).json;
    assert.deepEqual([slots.length, slots[1].is_processing, slots[1].next_token[0].n_decoded], [2, false, 4]);
    const { text } = await engine.get("/metrics");
    assert.match(text, /^llamacpp:tokens_predicted_total 4$/m);
    assert.match(text, /^llamacpp:requests_processing 0$/m);
  });

  test("an unknown path, or a known one by another method, is not found", async () => {
    for (const answer of [await engine.get("/nothing"), await engine.get("/completion")]) {
      assert.deepEqual(answer.json.error, { code: 404, message: "File Not Found", type: "not_found_error" });
    }
  });
});
