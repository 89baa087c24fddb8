import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  type Frame,
  idsOf,
  type StartedEngine,
  startReadyEngine,
  textOf,
} from "./fixtures/started-engine.ts";
import { unsupportedFields } from "./sampling.ts";

const prompt = "Write a haiku about the moon.<|poem|>";
const asked = { prompt, seed: 3, return_tokens: true, cache_prompt: false };

describe("completion", () => {
  let engine: StartedEngine;
  before(async () => {
    engine = await startReadyEngine({ flags: ["--slots", "2"] });
  });
  after(() => engine.stop());

  const last = (frames: readonly Frame[]) => frames.at(-1) as Frame;

  test("a stream has llama-server's bytes, every token's id, and one last frame", async () => {
    const { text } = await engine.post("/completion", { ...asked, stream: true });
    const [first = ""] = text.split("\n\n");
    assert.match(
      first,
      /^data: \{"index":0,"content":"[^"]+","tokens":\[\d+\],"stop":false,"id_slot":-1,"tokens_predicted":1,"tokens_evaluated":9\}$/,
    );
    const frames = await engine.stream(asked);
    const end = last(frames);
    assert.deepEqual([end.stop, end.content, end.stop_type], [true, "", "eos"]);
    assert.equal(idsOf(frames).length, end.tokens_predicted);
    const { json } = await engine.post("/detokenize", { tokens: idsOf(frames) });
    assert.equal(textOf(frames), json.content);
    assert.ok(!text.includes("[DONE]"));
  });

  test("without a stream the same answer comes as one object", async () => {
    const frames = await engine.stream(asked);
    const { json } = await engine.post("/completions", asked);
    assert.deepEqual([json.content, json.tokens], [textOf(frames), idsOf(frames)]);
    assert.equal(json.timings.predicted_n, json.tokens.length);
    assert.deepEqual([json.timings.prompt_n, json.timings.cache_n, json.has_new_line], [9, 0, true]);
    assert.equal(json.prompt, "Write a haiku about the moon.");
  });

  test("a prompt of token ids is taken as it is, and of both kinds is joined", async () => {
    const { json } = await engine.post("/tokenize", { content: prompt, add_special: true });
    const byText = await engine.post("/completion", asked);
    const byIds = await engine.post("/completion", { ...asked, prompt: json.tokens });
    const byBoth = await engine.post("/completion", { ...asked, prompt: [1, prompt] });
    assert.deepEqual(byIds.json.tokens, byText.json.tokens);
    assert.deepEqual(byBoth.json.tokens, byText.json.tokens);
  });

  test("no slot remembers the request before, and a cache is used only when asked for", async () => {
    const lone = await engine.post("/completion", asked);
    await engine.post("/completion", { prompt: "old pond", seed: 1 });
    await engine.post("/completion", { prompt: "old pond", seed: 2 });
    assert.deepEqual((await engine.post("/completion", asked)).json.tokens, lone.json.tokens);
    await engine.post("/completion", { ...asked, id_slot: 1 });
    const warm = await engine.post("/completion", { ...asked, id_slot: 1, cache_prompt: true });
    assert.deepEqual([warm.json.timings.cache_n, warm.json.timings.prompt_n], [8, 1]);
  });

  test("n_predict ends a stream, and so does a full context, which is said", async () => {
    const end = last(await engine.stream({ ...asked, n_predict: 5 }));
    assert.deepEqual([end.tokens_predicted, end.stop_type, end.truncated], [5, "limit", false]);
    const endless = { type: "array", items: { const: "a long while" }, minItems: 100 };
    const full = last(await engine.stream({ ...asked, json_schema: endless }));
    assert.deepEqual([full.tokens_predicted, full.stop_type, full.truncated], [256 - 9, "limit", true]);
    const long = await engine.post("/completion", { ...asked, prompt: Array(300).fill(262) });
    assert.deepEqual([long.status, long.json.error.type], [400, "exceed_context_size_error"]);
    assert.deepEqual([long.json.error.n_prompt_tokens, long.json.error.n_ctx], [300, 256]);
  });

  test("a stop string across borders of tokens ends the text before it, and nothing of it is sent", async () => {
    const whole = textOf(await engine.stream(asked));
    for (let at = 1; at + 7 < whole.length; at += 5) {
      const word = whole.slice(at, at + 7);
      const frames = await engine.stream({ ...asked, stop: ["never this", word] });
      assert.equal(textOf(frames), whole.slice(0, whole.indexOf(word)));
      assert.deepEqual([last(frames).stop_type, last(frames).stopping_word], ["word", word]);
      assert.equal(idsOf(frames).length, last(frames).tokens_predicted);
    }
  });

  test("text held back for a stop string that does not come is sent before the end", async () => {
    const whole = textOf(await engine.stream({ ...asked, n_predict: 4 }));
    const frames = await engine.stream({ ...asked, n_predict: 4, stop: [`${whole.slice(2)}§`] });
    assert.equal(textOf(frames), whole);
  });

  test("a character of several tokens is never cut, and every one of its ids is sent", async () => {
    const only = { enum: ["é€\u{1f600}x"] };
    const frames = await engine.stream({ ...asked, json_schema: only });
    assert.equal(textOf(frames), '"é€\u{1f600}x"');
    assert.ok(frames.every((frame) => !frame.content.includes("�")));
    assert.equal(idsOf(frames).length, last(frames).tokens_predicted);
    assert.ok(idsOf(frames).length >= 12);
  });

  test("an answer is held to its JSON schema, whatever the seed", async () => {
    const schema = {
      type: "object",
      properties: {
        line: { type: "string", maxLength: 8 },
        count: { type: "integer" },
        mood: { anyOf: [{ const: "calm" }, { type: "null" }] },
      },
      required: ["line"],
    };
    for (const seed of [1, 2, 3, 4]) {
      const { json } = await engine.post("/completion", { ...asked, seed, json_schema: schema });
      const made = JSON.parse(json.content);
      assert.equal(typeof made.line, "string");
      assert.ok(Number.isInteger(made.count) && [null, "calm"].includes(made.mood));
      assert.equal(json.stop_type, "eos");
    }
    const refused = { type: "object", properties: { a: { type: "string", pattern: "^a$" } } };
    const { status, json } = await engine.post("/completion", { ...asked, json_schema: refused });
    assert.equal(status, 400);
    assert.match(json.error.message, /json_schema\.properties\.a\.pattern/);
  });

  test("a schema that would keep the engine busy is refused before it is compiled", async () => {
    const again = { $ref: "#/$defs/a" };
    const list = { type: "array", items: again, minItems: 1 };
    const rows: [object, RegExp][] = [
      [{ enum: Array.from({ length: 60_000 }, (_, each) => `value ${each}`) }, /at most 16384 bytes/],
      [{ enum: Array.from({ length: 300 }, (_, each) => each) }, /256 values in one enum/],
      [{ ...again, $defs: { a: { oneOf: [list, { ...list, minItems: 2 }] } } }, /begin alike/],
    ];
    for (const [json_schema, says] of rows) {
      const { status, json } = await engine.post("/completion", { ...asked, n_predict: 2, json_schema });
      assert.equal(status, 400);
      assert.match(json.error.message, says);
    }
  });

  test("temperature, the truncations and the penalties each change what is written", async () => {
    const base = (await engine.post("/completion", asked)).json.tokens;
    const changes = [
      { temperature: 0 },
      { temperature: 1.7 },
      { top_k: 1 },
      { top_p: 0.05 },
      { min_p: 0.95 },
      { repeat_penalty: 4 },
      { presence_penalty: 2 },
      { frequency_penalty: 2 },
      { seed: 4 },
    ];
    for (const change of changes) {
      const { json } = await engine.post("/completion", { ...asked, ...change });
      assert.notDeepEqual(json.tokens, base, JSON.stringify(change));
    }
    const greedy = await engine.post("/completion", { ...asked, temperature: 0 });
    const first = await engine.post("/completion", { ...asked, top_k: 1, seed: 99 });
    assert.deepEqual(first.json.tokens, greedy.json.tokens);
    const near = await engine.post("/completion", { ...asked, presence_penalty: 2, repeat_last_n: 0 });
    assert.deepEqual(near.json.tokens, base);
  });

  test("a seed is reported, wraps like llama-server's, and -1 chooses one", async () => {
    const seedOf = async (seed: number) =>
      (await engine.post("/completion", { ...asked, n_predict: 1, seed })).json.generation_settings.seed;
    assert.deepEqual([await seedOf(7), await seedOf(2 ** 32 + 7)], [7, 7]);
    const chosen = await Promise.all(Array.from({ length: 8 }, () => seedOf(-1)));
    assert.ok(new Set(chosen).size > 1);
  });

  for (const field of unsupportedFields) {
    test(`${field} is refused by name unless it is neutral`, async () => {
      const { status, json } = await engine.post("/completion", { ...asked, [field]: ["on"] });
      assert.deepEqual([status, json.error.type, json.error.code], [400, "invalid_request_error", 400]);
      assert.match(json.error.message, new RegExp(`'${field}'`));
    });
  }

  test("every field at its neutral value is accepted", async () => {
    const neutral = {
      typical_p: 1,
      top_n_sigma: -1,
      xtc_probability: 0,
      xtc_threshold: 0.1,
      dynatemp_range: 0,
      mirostat: 0,
      dry_multiplier: 0,
      n_probs: 0,
      min_keep: 0,
      logit_bias: [],
      grammar: "",
      ignore_eos: false,
      timings_per_token: false,
      sse_ping_interval: 10,
      samplers: ["penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"],
    };
    const plain = await engine.post("/completion", asked);
    const { status, json } = await engine.post("/completion", { ...asked, ...neutral });
    assert.deepEqual([status, json.tokens], [200, plain.json.tokens]);
  });

  test("a body that makes no sense gets llama-server's error, and the engine lives on", async () => {
    const cases: [unknown, number, RegExp][] = [
      ['{"prompt":"a"', 500, /parse error/],
      ["[]", 400, /JSON object/],
      [{}, 400, /"prompt" is missing/],
      [{ prompt: { a: 1 } }, 400, /"prompt"/],
      [{ prompt: ["a", "b"] }, 400, /one prompt/],
      [{ prompt: [1, 99_999] }, 400, /invalid tokens/],
      [{ prompt: "a", n_predict: -2 }, 400, /'n_predict'/],
      [{ prompt: "a", temperature: "hot" }, 400, /'temperature'/],
      [{ prompt: "a", stream: "yes" }, 400, /'stream'/],
      [{ prompt: "a", stop: [1] }, 400, /'stop'/],
      [{ prompt: "a", json_schema: "x" }, 400, /'json_schema'/],
    ];
    for (const [body, status, message] of cases) {
      const answer = await engine.post("/completion", body);
      assert.equal(answer.status, status, answer.text);
      assert.match(answer.json.error.message, message);
    }
    const big = await engine.post("/completion", "x".repeat(33 * 1024 * 1024)).catch(() => undefined);
    assert.ok(big === undefined || big.status === 413);
    assert.equal((await engine.get("/health")).status, 200);
  });
});
