// The law of the Adapter port, held against a program that speaks an engine's wire: the real one, ours, the
// fake, or a recording. Whoever starts the program says what it can; nothing here knows which one it is.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type ResolvedSampling, samplerProfiles, type TaskBody } from "@llama-orch/contract";
import type { Adapter, AttemptEnd, AttemptRequest, EngineAddress, EngineFrame } from "./adapter.ts";
import { bindAdapter } from "./bind.ts";
import { EngineError, type EngineFault } from "./fault.ts";

export interface EngineUnderTest {
  readonly address: EngineAddress;
  readonly facts: EngineFacts;
  stop(): Promise<void>;
}

export interface EngineFacts {
  readonly slots: number;
  readonly ctxMax: number;
  readonly features: readonly string[];
  /** Answered by at least 12 tokens and 8 characters, each time it is asked. */
  readonly prompt: string;
  /** Whether the model brings a template for messages. */
  readonly messages: boolean;
}

export interface EngineCase {
  readonly name: string;
  start(): Promise<EngineUnderTest>;
}

interface Collected {
  readonly frames: readonly EngineFrame[];
  readonly text: string;
  readonly tokens: number;
  readonly end: AttemptEnd;
}

const someTokens = 12;
const patience = { firstTokenMs: 20_000, idleMs: 20_000 };

const signal = () => AbortSignal.timeout(30_000);

export function adapterConformance({ name, start }: EngineCase): void {
  describe(name, () => {
    const it = new Bound();
    before(async () => it.bind(await start()));
    after(() => it.stop());
    testItself(it);
    testText(it);
    testEnds(it);
    testSlots(it);
    testOffers(it);
  });
}

/** The program under test and the adapter to it; both are there once the tests run. */
class Bound {
  engine!: EngineUnderTest;
  adapter!: Adapter;

  bind(engine: EngineUnderTest): void {
    this.engine = engine;
    this.adapter = bindAdapter(engine.address, { seed: 1 });
  }

  async stop(): Promise<void> {
    await this.adapter?.close();
    await this.engine?.stop();
  }

  request({ sampling, ...more }: Changes = {}): AttemptRequest {
    return {
      workload: "completion",
      body: { prompt: this.engine.facts.prompt },
      sampling: { ...samplerProfiles.default, ...sampling },
      seed: 7,
      maxTokens: someTokens,
      reuseCache: false,
      ...patience,
      ...more,
    };
  }

  run(changes: Changes = {}): Promise<Collected> {
    return collect(this.adapter, this.request(changes), signal());
  }
}

function testItself(it: Bound): void {
  test("it is live and ready, and an address where nobody listens is neither", async () => {
    assert.deepEqual(await it.adapter.health(signal()), { live: true, ready: true });
    const nobody = bindAdapter({ engine: it.engine.address.engine, url: "http://127.0.0.1:1" }, { seed: 1 });
    const { error, ...health } = await nobody.health(signal());
    assert.deepEqual(health, { live: false, ready: false });
    assert.match(error ?? "", /^http:\/\/127\.0\.0\.1:1\/.*: nobody listens there/);
    await assert.rejects(collect(nobody, it.request(), signal()), faulty({ kind: "lost", reason: "crash" }));
    await nobody.close();
  });

  test("it tells its version, its slots, its context and what it offers", async () => {
    const props = await it.adapter.props(signal());
    assert.notEqual(props.engineVersion, "");
    assert.equal(props.slotsTotal, it.engine.facts.slots);
    assert.equal(props.slotsBusy ?? 0, 0);
    assert.equal(props.ctxMax, it.engine.facts.ctxMax);
    for (const feature of it.engine.facts.features) assert.ok(props.features.includes(feature), feature);
  });

  test("a wrong key is a fault of the configuration", async () => {
    if (it.engine.address.apiKey === undefined) return;
    const apiKey = "a-wrong-key-for-nobody";
    const stranger = bindAdapter({ ...it.engine.address, apiKey }, { seed: 1 });
    await assert.rejects(collect(stranger, it.request(), signal()), (error: Error) => {
      assert.ok(!error.message.includes(apiKey));
      return faulty({ kind: "refused", code: "INTERNAL" })(error);
    });
    await stranger.close();
  });
}

function testText(it: Bound): void {
  test("the same request gives the same frames, and the last batch says why it ended", async () => {
    const [first, second] = [await it.run(), await it.run()];
    assert.deepEqual(second.frames, first.frames);
    assert.equal(first.end.why, "limit");
    assert.equal(first.tokens, someTokens);
    assert.equal(second.tokens, someTokens);
  });

  test("another seed gives another text, and a greedy one does not care", async () => {
    // One after the other: an engine is never sent more than its slots can take.
    const texts = new Set<string>();
    for (const seed of [1, 2, 3]) texts.add((await it.run({ seed })).text);
    assert.ok(texts.size > 1);
    const greedy = { ...samplerProfiles.greedy };
    const [a, b] = [await it.run({ sampling: greedy, seed: 1 }), await it.run({ sampling: greedy, seed: 2 })];
    assert.equal(b.text, a.text);
  });

  test("a seed is taken modulo 4294967295, so that none of them means random", async () => {
    const [zero, wrapped] = [await it.run({ seed: 0 }), await it.run({ seed: 4_294_967_295 })];
    assert.deepEqual(wrapped.frames, zero.frames);
  });

  test("every frame has text, and its ids are those of the tokens that made it", async () => {
    const { frames, tokens } = await it.run();
    assert.ok(frames.every(({ t }) => t !== ""));
    const ids = frames.flatMap((frame) => frame.ids ?? []);
    if (frames.every((frame) => frame.ids !== undefined)) assert.ok(ids.length <= tokens && ids.length > 0);
    assert.ok(ids.every((id) => Number.isInteger(id) && id >= 0));
  });

  test("once the engine has left out an id, no later frame claims to know its own", async () => {
    const sampling = { temperature: 100, top_k: 0, top_p: 1, min_p: 0 };
    const { frames } = await it.run({ sampling, maxTokens: 48 });
    const gap = frames.findIndex(({ ids }) => ids === undefined);
    if (gap >= 0) assert.ok(frames.slice(gap).every(({ ids }) => ids === undefined));
  });
}

function testEnds(it: Bound): void {
  test("a stop string ends the text before itself", async () => {
    const { text } = await it.run();
    const stop = text.slice(4, 7);
    const stopped = await it.run({ sampling: { stop: [stop] } });
    assert.equal(stopped.text, text.slice(0, text.indexOf(stop)));
    assert.equal(stopped.end.why, "stop");
  });

  test("text that only began like a stop string is there at the end", async () => {
    const { text } = await it.run();
    const held = await it.run({ sampling: { stop: [`${text.slice(-2)}\u0007never`] } });
    assert.equal(held.text, text);
    assert.equal(held.end.why, "limit");
  });

  test("a prompt that leaves no room is refused, and a full context ends the text", async () => {
    const { ctxMax, prompt } = it.engine.facts;
    const long = { body: { prompt: `${prompt} `.repeat(ctxMax) } };
    await assert.rejects(it.run(long), faulty({ kind: "refused", code: "INVALID_PARAMS" }));
    const oneToken = await promptIds(it);
    const filling = Array.from({ length: ctxMax - oneToken.promptTokens - 4 }, () => oneToken.id);
    const filled = await it.run({ continueFrom: filling, maxTokens: 64, sampling: samplerProfiles.greedy });
    assert.ok(["context_full", "eos"].includes(filled.end.why), filled.end.why);
    assert.ok(filled.tokens <= 6, String(filled.tokens));
  });

  test("greedy text goes on after ids that were delivered as if it had never stopped", async () => {
    const sampling = samplerProfiles.greedy;
    const whole = await it.run({ sampling });
    const head = whole.frames.slice(0, 4);
    const continueFrom = head.flatMap(({ ids }) => ids ?? []);
    if (head.some(({ ids }) => ids === undefined)) return;
    const rest = await it.run({ sampling, continueFrom, maxTokens: someTokens - continueFrom.length });
    assert.equal(head.map(({ t }) => t).join("") + rest.text, whole.text);
    assert.equal(rest.end.promptTokens, whole.end.promptTokens + continueFrom.length);
  });
}

function testSlots(it: Bound): void {
  test("a cache is only used when it may be", async () => {
    assert.equal((await it.run()).end.cachedTokens, 0);
    assert.ok((await it.run({ reuseCache: true })).end.cachedTokens >= 0);
  });

  test("a cancelled attempt throws the signal's reason, and its slot is free within a second", async () => {
    const abort = new AbortController();
    const reason = new Error("cancelled");
    const attempt = it.request({ maxTokens: it.engine.facts.ctxMax - 64 });
    await assert.rejects(async () => {
      for await (const batch of it.adapter.submit(attempt, abort.signal)) {
        // An answer that fits into one read is over before anybody can cancel it.
        if (batch.end === undefined || abort.signal.aborted) abort.abort(reason);
        else throw reason;
      }
    }, reason);
    await freed(it.adapter);
  });

  test("leaving the loop frees the slot too", async () => {
    const attempt = it.request({ maxTokens: it.engine.facts.ctxMax - 64 });
    for await (const batch of it.adapter.submit(attempt, signal())) {
      assert.ok(batch.tokens > 0);
      break;
    }
    await freed(it.adapter);
  });
}

function testOffers(it: Bound): void {
  test("tokens are counted as the engine counts them", async () => {
    const { end } = await it.run();
    const { prompt } = it.engine.facts;
    assert.equal(await it.adapter.countTokens({ prompt }, signal()), end.promptTokens);
    if (!it.engine.facts.messages) return;
    const body: TaskBody = { messages: [{ role: "user", content: prompt }] };
    const chat = await it.run({ body });
    assert.notEqual(chat.text, "");
    assert.equal(await it.adapter.countTokens(body, signal()), chat.end.promptTokens);
  });

  test("inputs are counted each for itself, and the longest counts", async () => {
    const { features, ctxMax, prompt } = it.engine.facts;
    if (!features.includes("embedding")) return;
    const count = (inputs: string[]) => it.adapter.countTokens({ inputs }, signal());
    const alone = await count([prompt]);
    assert.equal(
      alone,
      (await it.run({ workload: "embedding", body: { inputs: [prompt] } })).end.promptTokens,
    );
    assert.equal(await count(["a", prompt, "a"]), alone);
    const many = Array.from({ length: ctxMax }, () => prompt);
    assert.equal(await count(many), alone);
    const behind = await it.adapter.countTokens({ query: "a", inputs: ["a", prompt] }, signal());
    assert.equal(behind - alone, await it.adapter.countTokens({ prompt: "a" }, signal()));
  });

  test("a JSON schema is obeyed where the engine offers it", async () => {
    if (!it.engine.facts.features.includes("json_schema")) return;
    const json_schema = { type: "object", properties: { a: { const: 1 } }, required: ["a"] };
    const { text, end } = await it.run({ sampling: { json_schema }, maxTokens: 48 });
    if (end.why === "eos") assert.equal((JSON.parse(text) as { a: unknown }).a, 1);
    assert.match(text, /^\s*\{/);
  });

  test("embeddings and reranks come as one result where they are offered, else as a refusal", async () => {
    for (const workload of ["embedding", "rerank"] as const) {
      const query = workload === "rerank" ? { query: "one" } : {};
      const attempt = { workload, body: { inputs: ["two", "one"], ...query } };
      if (!it.engine.facts.features.includes(workload)) {
        await assert.rejects(it.run(attempt), faulty({ kind: "refused", code: "INVALID_PARAMS" }));
        continue;
      }
      const { end, tokens } = await it.run(attempt);
      assert.equal(tokens, 0);
      const list = workload === "embedding" ? end.result?.embeddings : end.result?.scores;
      assert.equal(list?.length, 2);
    }
  });
}

type Changes = Partial<Omit<AttemptRequest, "sampling">> & { readonly sampling?: Partial<ResolvedSampling> };

/** An id of the vocabulary that has text, and the size of the prompt in front of it. */
async function promptIds(it: Bound) {
  const { frames, end } = await it.run();
  return { id: frames[0]?.ids?.[0] ?? 0, promptTokens: end.promptTokens };
}

export async function collect(
  adapter: Adapter,
  attempt: AttemptRequest,
  signal: AbortSignal,
): Promise<Collected> {
  const frames: EngineFrame[] = [];
  let tokens = 0;
  let end: AttemptEnd | undefined;
  for await (const batch of adapter.submit(attempt, signal)) {
    assert.equal(end, undefined, "nothing comes after the end");
    assert.ok(batch.tokens >= tokens);
    frames.push(...batch.frames);
    tokens = batch.tokens;
    end = batch.end;
  }
  assert.ok(end !== undefined, "a stream that ends without an end throws");
  return { frames, text: frames.map(({ t }) => t).join(""), tokens, end };
}

export function faulty(fault: EngineFault): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof EngineError, String(error));
    assert.deepEqual(error.fault, fault, error.message);
    return true;
  };
}

async function freed(adapter: Adapter): Promise<void> {
  const until = performance.now() + 1_000;
  for (;;) {
    const { slotsBusy } = await adapter.props(AbortSignal.timeout(5_000));
    if (slotsBusy === undefined || slotsBusy === 0) return;
    assert.ok(performance.now() < until, "the slot is still busy after a second");
  }
}
