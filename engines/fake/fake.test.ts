import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { Completion, type CompletionRequest } from "./completion.ts";
import { type StartedFake, spawnFake, startFake } from "./start.ts";
import { detokenize, tokenize, vocabulary } from "./vocabulary.ts";

const base: CompletionRequest = {
  prompt: tokenize("once upon a time", true, true),
  maxTokens: 40,
  seed: 7,
  temperature: 0.8,
  sampling: "[]",
  stop: [],
  meanTokens: 0,
  ctx: 4096,
  model: "fake",
  slot: 0,
  cachedTokens: 0,
};

interface Event {
  readonly content: string;
  readonly tokens: readonly number[];
  readonly tokens_predicted: number;
  readonly stop: boolean;
  readonly stop_type?: string;
}

function say(changes: Partial<CompletionRequest> = {}, faults = {}, step = 64) {
  const completion = new Completion({ ...base, ...changes }, faults);
  let wire = "";
  for (;;) {
    const { text, after: what } = completion.next(step);
    wire += text;
    if (what !== "go_on") break;
  }
  const events = wire
    .split("\n\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line.slice("data: ".length)) as Event);
  const ids = events.flatMap(({ tokens }) => tokens);
  return { wire, events, ids, text: events.map(({ content }) => content).join("") };
}

test("tokens are a pure function of prompt, sampling and seed", () => {
  fc.assert(
    fc.property(fc.nat(), fc.string(), fc.integer({ min: 1, max: 64 }), (seed, prompt, step) => {
      const request = { seed, prompt: tokenize(prompt, true, true) };
      assert.deepEqual(say(request, {}, step).ids, say(request).ids);
    }),
    { numRuns: 50 },
  );
  assert.notDeepEqual(say({ seed: 8 }).ids, say().ids);
  assert.notDeepEqual(say({ sampling: "[40]" }).ids, say().ids);
  assert.deepEqual(say({ seed: 8, temperature: 0 }).ids, say({ temperature: 0 }).ids);
});

test("a prompt that ends in the first ids of an answer is answered by the rest of it", () => {
  const whole = say();
  for (let head = 1; head < 40; head += 1) {
    const rest = say({ prompt: [...base.prompt, ...whole.ids.slice(0, head)], maxTokens: 40 - head });
    assert.deepEqual(rest.ids, whole.ids.slice(head));
  }
});

test("every text becomes ids and comes back as it was", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      const ids = tokenize(text, false, false);
      assert.equal(detokenize(ids), Buffer.from(text).toString());
      assert.ok(ids.every((id) => id >= 0 && id < vocabulary));
    }),
  );
  const { ids, text } = say();
  assert.equal(detokenize(ids), text);
  assert.match(text, /^( [a-z]{4}|[,.])+$/);
});

test("stop strings end the text before them, and hold back what may become one", () => {
  const { text } = say();
  const stop = text.slice(20, 26);
  const stopped = say({ stop: [stop] });
  assert.equal(stopped.text, text.slice(0, text.indexOf(stop)));
  assert.equal(stopped.events.at(-1)?.stop_type, "word");
  const held = say({ stop: [`${text.slice(-3)}!`] });
  assert.ok(held.text.length < text.length && text.startsWith(held.text));
  assert.deepEqual(held.ids, say().ids);
});

test("an answer ends by itself, by its limit or by a full context", () => {
  assert.equal(say().events.at(-1)?.stop_type, "limit");
  const ended = say({ meanTokens: 5, maxTokens: 4000 });
  assert.equal(ended.events.at(-1)?.stop_type, "eos");
  assert.ok(ended.ids.length < 100);
  assert.equal(say({ maxTokens: -1, ctx: 50 }).ids.length, 50 - base.prompt.length);
});

test("faults come at their token and change nothing before it", () => {
  const { wire, ids, text } = say();
  for (const fault of ["stall_after", "reset_after", "cut_after"]) {
    assert.ok(wire.startsWith(say({}, { [fault]: 8 }).wire));
    assert.deepEqual(say({}, { [fault]: 8 }).ids, ids.slice(0, 8));
  }
  const flipped = say({}, { flip_at: 8 });
  assert.deepEqual(flipped.ids.slice(0, 8), ids.slice(0, 8));
  assert.notEqual(flipped.ids[8], ids[8]);
  assert.deepEqual(flipped.ids.slice(9), ids.slice(9));
  const gapped = say({}, { lost_ids_at: 8 });
  assert.equal(gapped.text, text);
  assert.deepEqual(gapped.ids, ids.toSpliced(8, 1));
});

let fake: StartedFake;
before(async () => {
  fake = await spawnFake({
    slots: 2,
    apiKey: "k",
    loadingMs: 0,
    modelDigest: "sha256:0",
    features: ["a", "b"],
  });
});
after(() => fake.stop());

const headers = { authorization: "Bearer k" };

test("the program takes its facts as flags, and stands behind its key", async () => {
  assert.equal((await fetch(`${fake.url}/props`)).status, 401);
  assert.equal((await fetch(`${fake.url}/health`)).status, 200);
  const props = (await (await fetch(`${fake.url}/props`, { headers })).json()) as Record<string, unknown>;
  assert.equal(props.total_slots, 2);
  assert.equal(props.model_digest, "sha256:0");
  assert.deepEqual(props.features, ["a", "b"]);
  assert.equal(props.compute, undefined);
  assert.equal((await fetch(`${fake.url}/nothing`, { headers })).status, 404);
});

test("faults are switched over HTTP, and an unknown one is refused with the list of those there are", async () => {
  await fake.faults({ build_info: "other-2", loading: false });
  const props = (await (await fetch(`${fake.url}/props`, { headers })).json()) as Record<string, unknown>;
  assert.equal(props.build_info, "other-2");
  await fake.faults({ loading: true });
  assert.equal((await fetch(`${fake.url}/health`)).status, 503);
  await fake.faults();
  assert.equal((await fetch(`${fake.url}/health`)).status, 200);
  await assert.rejects(fake.faults({ stall: 1 } as object), /There is no fault stall; there are loading/);
});

test("more requests than slots wait their turn", async () => {
  const paced = await startFake({ slots: 1, tokensPerSecond: 500 });
  const body = JSON.stringify({ prompt: "a", stream: true, n_predict: 20 });
  const ask = () => fetch(`${paced.url}/completion`, { method: "POST", body });
  const [first, second, third] = [await ask(), ask(), new AbortController()];
  const left = fetch(`${paced.url}/completion`, { method: "POST", body, signal: third.signal });
  third.abort();
  await assert.rejects(left);
  const texts = await Promise.all([first.text(), second.then((answer) => answer.text())]);
  for (const text of texts) assert.match(text, /"stop":true/);
  const metrics = await (await fetch(`${paced.url}/metrics`)).text();
  assert.match(metrics, /^llamacpp:tokens_predicted_total 40$/m);
  await paced.stop();
});

test("what llama-server refuses is refused in its words", async () => {
  const plain = await startFake({ ctx: 16 });
  const ask = async (body: string) => {
    const answer = await fetch(`${plain.url}/completion`, { method: "POST", body });
    return { status: answer.status, ...((await answer.json()) as { error: { type: string } }).error };
  };
  assert.equal((await ask("{")).status, 500);
  assert.equal((await ask("{}")).status, 400);
  assert.equal((await ask('{"prompt":[999999]}')).status, 400);
  assert.equal((await ask('{"prompt":"a","n_predict":-2}')).status, 400);
  assert.equal((await ask('{"prompt":"a","seed":"x"}')).status, 400);
  assert.equal((await ask(`{"prompt":"${"é".repeat(20)}"}`)).type, "exceed_context_size_error");
  await plain.stop();
});
