import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { bodyOf, parseTaskRequest, resolveTask } from "@llama-orch/contract";
import { Orchestrator } from "@llama-orch/core";
import { FakeClock } from "../fixtures/fake-clock.ts";
import { configFor, type Scope } from "../fixtures/running.ts";
import { TinyAdapter } from "../fixtures/tiny-adapter.ts";
import { Loop } from "../loop.ts";
import { settingsOf } from "../settings.ts";
import { Directory } from "./directory.ts";
import { promptCounter } from "./prompt-counter.ts";

/** One pool whose engine has room for a hundred tokens. */
async function open(scope: Scope) {
  const pool = { id: "p", engine: "llamacpp", model: "haiku", devices: [], allow_cpu: true };
  const provisioning = { mode: "external", base_url: "http://127.0.0.1:1" };
  const core = new Orchestrator(1);
  const clock = new FakeClock();
  const loop = new Loop({ core, clock, perform: () => {} });
  const config = configFor(scope, { pools: [{ ...pool, provisioning }] });
  loop.post({ type: "Configured", settings: settingsOf(config) });
  const adapter = new TinyAdapter();
  adapter.facts = { engineVersion: "1", slotsTotal: 1, ctxMax: 100, features: ["completion"] };
  const directory = new Directory({
    bind: () => adapter,
    post: (happening) => loop.post(happening),
    clock,
    pollMs: 1000,
    expected: () => ({ ctxMax: 100, slotsTotal: 1 }),
  });
  scope.after(() => directory.close());
  const where = { poolId: "p", replicaId: "r0", engine: "llamacpp", url: "http://127.0.0.1:1" } as const;
  directory.announce({ ...where, phase: "ready", epoch: 1 });
  await turn();
  const counter = promptCounter(core, directory);
  const measure = (fields: object) => {
    const request = parseTaskRequest({ ...plain, ...fields });
    return counter.measure(resolveTask(request, { defaultSeed: 1 }), bodyOf(request));
  };
  adapter.asked = 0;
  return { adapter, measure };
}

const plain = {
  task_id: "t",
  session_id: "s",
  workload: "completion",
  model_ref: "haiku",
  engine: "llamacpp",
  ctx: 0,
  priority: "batch",
  max_tokens: 48,
  deadline_ms: 1000,
};

test("a prompt whose bytes fit is not counted, to the last byte", async (t) => {
  const { adapter, measure } = await open(t);
  assert.deepEqual(await measure({ prompt: "x".repeat(50) }), { promptBytes: 50 });
  assert.equal(adapter.asked, 0);
  adapter.tokens = 51;
  assert.deepEqual(await measure({ prompt: "x".repeat(51) }), { promptBytes: 51, promptTokens: 51 });
  assert.equal(adapter.asked, 1);
});

test("bytes are those of UTF-8, and a context that is asked for is the one to fit into", async (t) => {
  const { adapter, measure } = await open(t);
  assert.equal((await measure({ prompt: "é".repeat(20) })).promptBytes, 40);
  assert.equal(adapter.asked, 0);
  assert.equal((await measure({ prompt: "x".repeat(20), ctx: 64 })).promptTokens, 1);
});

test("what a template may write around messages counts", async (t) => {
  const { measure } = await open(t);
  const messages = [{ role: "user", content: "hello" }];
  assert.equal((await measure({ messages })).promptBytes, 256 + 64 + 4 + 5);
});

test("of several inputs the longest must fit, behind the query, however many there are", async (t) => {
  const { adapter, measure } = await open(t);
  const ranked = { workload: "rerank", query: "four", inputs: ["two", "three", "é"] };
  assert.deepEqual(await measure(ranked), {
    promptBytes: 4 + 5,
    allTokens: 4 + 3 + 2 + (4 + 5 + 2) + (4 + 2 + 2),
  });
  const many = { workload: "embedding", inputs: Array.from({ length: 2048 }, () => "x".repeat(50)) };
  assert.deepEqual(await measure(many), { promptBytes: 50, allTokens: 2048 * 52 });
  assert.equal(adapter.asked, 0);
});

test("where the longest input is counted, the others are taken to be as dense", async (t) => {
  const { adapter, measure } = await open(t);
  adapter.tokens = 20;
  const inputs = ["x".repeat(80), "x".repeat(40), "x".repeat(10)];
  const counted = { promptBytes: 80, promptTokens: 20, allTokens: Math.ceil((20 * (82 + 42 + 12)) / 82) };
  assert.deepEqual(await measure({ workload: "embedding", inputs }), counted);
  const [input] = inputs;
  const alone = { promptBytes: 80, promptTokens: 20 };
  assert.deepEqual(await measure({ workload: "embedding", inputs: [input] }), alone);
  const empty = { workload: "embedding", inputs: ["", ""], max_tokens: 99 };
  assert.deepEqual(await measure(empty), { promptBytes: 0, promptTokens: 20, allTokens: 40 });
});

test("where no engine answers there is no count, and for a model that nobody serves nobody is asked", async (t) => {
  const { adapter, measure } = await open(t);
  adapter.tokens = undefined;
  assert.deepEqual(await measure({ prompt: "x".repeat(60) }), { promptBytes: 60 });
  adapter.asked = 0;
  assert.deepEqual(await measure({ prompt: "x".repeat(60), model_ref: "other" }), { promptBytes: 60 });
  assert.equal(adapter.asked, 0);
});
