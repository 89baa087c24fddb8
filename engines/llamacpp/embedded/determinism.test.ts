import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { idsOf, type StartedEngine, startReadyEngine } from "./fixtures/started-engine.ts";

const seeds = Array.from({ length: 64 }, (_, seed) => seed * 7919);
const subjects = ["the moon", "rain", "an old pond", "winter"];

describe("a strict engine", () => {
  let engines: StartedEngine[];
  let lone: number[][];
  before(async () => {
    engines = await Promise.all([1, 2].map(() => startReadyEngine({ flags: ["--slots", "8"] })));
    lone = await runAll(engines[0] as StartedEngine, 1);
  });
  after(() => Promise.all(engines.map((engine) => engine.stop())));

  test("writes 64 different answers to 64 seeds", () => {
    assert.ok(new Set(lone.map(String)).size > 60);
  });

  for (const streams of [2, 4, 8]) {
    test(`gives with ${streams} streams at once the same tokens for 64 seeds as alone`, async () => {
      assert.deepEqual(await runAll(engines[0] as StartedEngine, streams), lone);
    });
  }

  test("gives the same tokens as another of the same set, to which its fingerprint says it belongs [OC-CORE-1030]", async () => {
    const [a, b] = await Promise.all(engines.map((engine) => engine.get("/props")));
    assert.equal(a?.json.compute_fingerprint, b?.json.compute_fingerprint);
    assert.match(a?.json.compute_fingerprint, /contexts=one for each slot/);
    assert.equal(a?.json.model_digest, b?.json.model_digest);
    assert.deepEqual(await runAll(engines[1] as StartedEngine, 4), lone);
  });
});

test("a batched engine answers as many streams as it has slots from one context", async (t) => {
  const engine = await startReadyEngine({ flags: ["--slots", "4", "--batched"] });
  t.after(() => engine.stop());
  const answers = await runAll(engine, 4);
  assert.ok(answers.every((ids) => ids.length > 5));
  assert.match((await engine.get("/props")).json.compute_fingerprint, /contexts=one for 4 slots/);
});

/** The ids of every seed, with so many streams running at any time. */
async function runAll(engine: StartedEngine, streams: number): Promise<number[][]> {
  const answers: number[][] = [];
  let next = 0;
  const lane = async () => {
    for (let at = next++; at < seeds.length; at = next++) {
      const prompt = `Write a haiku about ${subjects[at % subjects.length]}.<|poem|>`;
      const asked = { prompt, seed: seeds[at], temperature: 1, return_tokens: true, cache_prompt: false };
      answers[at] = idsOf(await engine.stream(asked));
    }
  };
  await Promise.all(Array.from({ length: streams }, lane));
  return answers;
}
