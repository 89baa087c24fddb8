import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTaskRequest } from "@llama-orch/contract";
import { Orchestrator } from "@llama-orch/core";
import { FakeClock } from "./fixtures/fake-clock.ts";
import { Loop } from "./loop.ts";
import { admitted } from "./store/fixtures/facts.ts";
import { MemoryStore } from "./store/fixtures/memory-store.ts";
import { Submissions, seedOf } from "./submissions.ts";
import { Tasks } from "./tasks.ts";

test("a seed that was left out is the first 8 bytes of the sha256 of the task's name, below 2^53, for ever the same", () => {
  // By `printf task-1 | sha256sum`, the first 16 digits taken modulo 2^53.
  assert.equal(seedOf("task-1"), 7_497_873_469_969_087);
  assert.equal(seedOf(""), 4_719_389_940_915_220);
  for (let n = 0; n < 200; n++) assert.ok(Number.isSafeInteger(seedOf(`task-${n}`)));
});

test("a name that the core has forgotten is still known by the store", async () => {
  const clock = new FakeClock();
  const core = new Orchestrator(1);
  const store = new MemoryStore({ nowMs: () => clock.nowMs(), keepEndedMs: 1, rememberMs: 1 });
  await store.commit([admitted("first", { taskId: "poem" })]);
  const loop = new Loop({ core, clock, perform: () => {} });
  const submissions = new Submissions({
    core,
    loop: () => loop,
    clock,
    tasks: new Tasks(1),
    store,
    counter: { measure: async () => ({ promptBytes: 0 }) },
    openStream: () => assert.fail("nothing is accepted"),
  });
  const request = parseTaskRequest({
    task_id: "poem",
    session_id: "s",
    workload: "completion",
    model_ref: "m",
    engine: "llamacpp",
    ctx: 0,
    priority: "batch",
    max_tokens: 1,
    deadline_ms: 1000,
    prompt: "",
  });
  const caller = { client: "c", identity: "localhost", correlationId: "x" };
  await assert.rejects(submissions.submit(request, 1, caller), { code: "TASK_CONFLICT" });
});
