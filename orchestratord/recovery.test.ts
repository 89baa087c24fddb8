// What an earlier process left, taken up beside engines that report, and beside one that never does.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Orchestrator } from "@llama-orch/core";
import { FakeClock } from "./fixtures/fake-clock.ts";
import { Loop } from "./loop.ts";
import { Recorder } from "./recorder.ts";
import { Recovery } from "./recovery.ts";
import { admitted, replicaFacts, settingsWith } from "./store/fixtures/facts.ts";
import { MemoryStore } from "./store/fixtures/memory-store.ts";
import type { Fact } from "./store/store.ts";
import type { TaskStream } from "./streaming/task-stream.ts";
import { Tasks } from "./tasks.ts";
import { Timers } from "./timers.ts";

const seen = (poolId: string, replicaId: string): Fact => ({
  fact: "replica-seen",
  poolId,
  replicaId,
  facts: replicaFacts("b1"),
});

/** A daemon that starts after those facts, with one replica to each pool. */
async function recovering(facts: readonly Fact[], ...poolIds: readonly string[]) {
  const clock = new FakeClock();
  const store = new MemoryStore({ nowMs: () => clock.nowMs(), keepEndedMs: 0, rememberMs: 0 });
  await store.commit(facts);
  const recovered = store.recover();
  const core = Orchestrator.recover(recovered, 1);
  const loop = new Loop({ core, clock, perform: () => {} });
  const post: Loop["post"] = (happening) => loop.post(happening);
  const recovery = new Recovery({
    core,
    clock,
    tasks: new Tasks(0),
    timers: new Timers(new FakeClock(), () => {}),
    recorder: new Recorder({ core, store }),
    post,
    streamOf: () => ({ tokensOut: 0 }) as TaskStream,
    settings: settingsWith(...poolIds),
    replicasOf: () => 1,
  });
  recovery.begin(recovered);
  const reports = (poolId: string, replicaId: string, status: "ready" | "loading" | "backing_off") => {
    post({ type: "ReplicaReported", poolId, replicaId, epoch: 1, status, facts: replicaFacts("b1") });
    recovery.settle();
  };
  const known = () =>
    store
      .recover()
      .replicas.map(({ poolId, replicaId }) => `${poolId}/${replicaId}`)
      .sort();
  return { clock, core, recovery, reports, known };
}

test("a replica that a pool does not have any more is forgotten once the others have reported", async () => {
  const facts: Fact[] = [
    { fact: "configured", settings: settingsWith("p"), atMs: 1 },
    seen("p", "r0"),
    seen("p", "r1"),
  ];
  const { clock, core, reports, known } = await recovering(facts, "p");
  const replicas = () => [...(core.state.pools.get("p")?.replicas.keys() ?? [])];
  reports("p", "r0", "loading");
  reports("p", "r0", "backing_off");
  assert.deepEqual(
    [replicas().sort(), known()],
    [
      ["r0", "r1"],
      ["p/r0", "p/r1"],
    ],
  );
  reports("p", "r0", "ready");
  assert.deepEqual([replicas(), known()], [["r0"], ["p/r0"]]);
  assert.equal(clock.timers, 0);
});

test("an engine that never comes up keeps pools that are gone for five minutes and no longer", async () => {
  const facts: Fact[] = [
    { fact: "configured", settings: settingsWith("p"), atMs: 1 },
    seen("p", "r0"),
    admitted("waits", { taskId: "waits" }),
  ];
  const { clock, core, reports } = await recovering(facts, "q");
  reports("q", "r0", "loading");
  clock.advance(299_999);
  reports("q", "r0", "loading");
  assert.deepEqual([...core.state.pools.keys()].sort(), ["p", "q"]);
  clock.advance(1);
  assert.deepEqual([...core.state.pools.keys()], ["q"]);
  assert.equal(clock.timers, 0);
});

test("a daemon that stops before its engines have reported leaves no timer", async () => {
  const { clock, recovery } = await recovering([], "p");
  assert.equal(clock.timers, 1);
  recovery.close();
  assert.equal(clock.timers, 0);
});
