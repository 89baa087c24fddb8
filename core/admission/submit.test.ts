import assert from "node:assert/strict";
import { test } from "node:test";
import { recover } from "../fixtures/restart.ts";
import { only, pool, settings, World } from "../fixtures/world.ts";
import type { Answer } from "../outcome.ts";

const first = (world: World, taskId: string): Answer =>
  world.of("AcceptTask").find((accepted) => accepted.taskId === taskId)?.answer as Answer;

const repeated = (effects: ReturnType<World["submit"]>) => {
  assert.deepEqual(
    effects.map(({ type }) => type),
    ["RepeatAnswer"],
  );
  return only(effects, "RepeatAnswer")[0];
};

test("the same request again gets its first answer: waiting, running and after its end", () => {
  const world = new World();
  world.submit("runs");
  world.submit("waits");
  world.submit("later");
  for (const id of ["runs", "waits", "later"]) {
    const again = repeated(world.submit(id, {}, { jobId: "another" }));
    assert.equal(again?.jobId, `job-${id}`);
    assert.deepEqual(again?.answer, first(world, id));
  }
  world.end("runs");
  world.cancel("later");
  world.pass(1000);
  for (const id of ["runs", "waits", "later"]) {
    assert.deepEqual(repeated(world.submit(id, {}, { jobId: "another" }))?.answer, first(world, id));
  }
  assert.equal(world.of("AcceptTask").length, 3);
});

test("a repeat changes nothing at all", () => {
  const world = new World();
  for (const id of ["a", "b"]) world.submit(id);
  world.end("a");
  const before = world.orchestrator.snapshot();
  for (const id of ["a", "b"]) world.submit(id);
  assert.deepEqual(world.orchestrator.snapshot(), before);
});

test("a known id with other fields is a conflict, alive or ended, and leaves the first task alone", () => {
  const world = new World();
  for (const id of ["a", "b"]) world.submit(id);
  world.end("a");
  for (const id of ["a", "b"]) {
    const [refused] = only(world.submit(id, {}, { fingerprint: "changed" }), "RefuseTask");
    assert.equal(refused?.code, "TASK_CONFLICT");
  }
  assert.equal(world.outcome("b"), undefined);
});

test("ids live inside their tenant", () => {
  const world = new World({ slots: 9 });
  for (const tenantId of ["a", "b"]) {
    const jobId = `job-of-${tenantId}`;
    assert.equal(
      only(world.submit("same", { tenantId }, { jobId, fingerprint: tenantId }), "AcceptTask").length,
      1,
    );
  }
});

test("what the store remembers counts as well: the same answer, or a conflict", () => {
  const answer: Answer = { jobId: "job-old", queuePosition: 4, predictedStartMs: 77, preparation: [] };
  const world = new World();
  const remembered = { fingerprint: "fp-old", answer };
  assert.deepEqual(repeated(world.submit("old", {}, { remembered }))?.answer, answer);
  const [refused] = only(world.submit("old", {}, { remembered, fingerprint: "changed" }), "RefuseTask");
  assert.equal(refused?.code, "TASK_CONFLICT");
  assert.equal(world.orchestrator.state.jobs.size, 0);
});

test("answers are kept for as long as is configured and then forgotten", () => {
  const world = new World({ settings: settings({ rememberMs: 1000 }) });
  world.submit("a");
  world.end("a");
  world.pass(1000);
  assert.equal(only(world.submit("a"), "RepeatAnswer").length, 1);
  world.submit("b");
  world.pass(1);
  world.end("b");
  assert.equal(only(world.submit("a"), "AcceptTask").length, 1);
});

test("a repeat is answered while everything else is refused: shutdown, full disk, drained pool", () => {
  const world = new World();
  world.submit("a");
  world.say({ type: "DrainRequested", poolId: "p", deadlineMs: 1000 });
  world.say({ type: "StorageChanged", full: true });
  world.say({ type: "ShutdownBegan" });
  repeated(world.submit("a"));
});

test("a task whose admission was never kept is withdrawn: nothing of it is held, and its name is free", () => {
  const world = new World();
  world.submit("a");
  world.submit("b");
  for (const taskId of ["a", "b"]) {
    world.say({ type: "TaskCanceled", tenantId: "default", taskId, withdrawn: true });
    assert.equal(world.outcome(taskId)?.kind, "canceled");
  }
  world.end("a", { ending: { kind: "aborted" } });
  assert.deepEqual(world.attempts("b"), []);
  assert.equal(only(world.submit("a", { maxTokens: 3 }), "AcceptTask").length, 1);
  world.say({ type: "TaskCanceled", tenantId: "default", taskId: "never", withdrawn: true });
});

test("a withdrawn task was no turn of its session, and a session of nothing else is none", () => {
  const world = new World();
  const withdraw = (taskId: string) =>
    world.say({ type: "TaskCanceled", tenantId: "default", taskId, withdrawn: true });
  const turns = () => world.orchestrator.session("default", "s").turns;
  world.submit("a", { sessionId: "s" });
  assert.equal(turns(), 1);
  withdraw("a");
  world.end("a", { ending: { kind: "aborted" } });
  assert.equal(turns(), 0);
  assert.equal(world.orchestrator.state.sessions.size, 0);
  world.submit("b", { sessionId: "s" });
  world.submit("c", { sessionId: "s" });
  withdraw("c");
  assert.equal(turns(), 1);
});

test("a full disk refuses new tasks and lets accepted ones end; with space again it admits", () => {
  const world = new World();
  world.submit("a");
  world.submit("b");
  world.say({ type: "StorageChanged", full: true });
  const [refused] = only(world.submit("c"), "RefuseTask");
  assert.deepEqual([refused?.code, refused?.details.policy_label], ["POOL_UNAVAILABLE", "storage"]);
  world.end("a");
  world.end("b");
  assert.equal(world.outcome("b")?.kind, "done");
  world.say({ type: "StorageChanged", full: false });
  assert.equal(only(world.submit("c"), "AcceptTask").length, 1);
});

test("a shutdown refuses new tasks and a restart admits again", () => {
  const world = new World();
  world.say({ type: "ShutdownBegan" });
  const [refused] = only(world.submit("a"), "RefuseTask");
  assert.deepEqual([refused?.code, refused?.details.policy_label], ["POOL_UNAVAILABLE", "retry"]);
  world.say({ type: "Restarted" });
  assert.equal(only(world.submit("a"), "AcceptTask").length, 1);
});

test("a session takes its turns and no more; after its time to live it begins anew", () => {
  const session = { ...settings().session, maxTurns: 2, ttlMs: 1000 };
  const world = new World({ slots: 9, settings: settings({ session }) });
  const s = { sessionId: "s" };
  for (const id of ["1", "2"]) assert.equal(only(world.submit(id, s), "AcceptTask").length, 1);
  const [refused] = only(world.submit("3", s), "RefuseTask");
  assert.equal(refused?.code, "INVALID_PARAMS");
  assert.match(refused?.message ?? "", /session_max_turns/);
  assert.equal(only(world.submit("x", { sessionId: "other" }), "AcceptTask").length, 1);
  assert.equal(only(world.submit("y", { ...s, tenantId: "other" }), "AcceptTask").length, 1);
  world.end("1");
  world.pass(1000);
  assert.equal(only(world.submit("3", s), "RefuseTask").length, 1, "it is not idle");
  world.end("2");
  assert.equal(only(world.submit("3", s), "AcceptTask").length, 1);
});

test("admission tells the pool, the position and the predicted start, and what is being prepared", () => {
  const world = new World({ settings: settings({ pools: [pool({ id: "big" })] }), ready: false });
  world.replica("big", "r", { status: "loading", readyInMs: 12_000 });
  const [accepted] = only(world.submit("a"), "AcceptTask");
  assert.equal(accepted?.poolId, "big");
  assert.equal(accepted?.answer.queuePosition, 0);
  assert.deepEqual(
    accepted?.answer.preparation.map(({ kind, estimated_ms }) => [kind, estimated_ms]),
    [["pool_warmup", 12_000]],
  );
  world.replica("big", "r");
  assert.deepEqual(only(world.submit("b"), "AcceptTask")[0]?.answer.preparation, []);
});

test("of several inputs the longest must fit the context, all are charged and foretold, after a restart as well", () => {
  const many = { promptTokens: 4000, allTokens: 400_000 };
  const startBehind = (fields: object) => {
    const world = new World();
    for (const promptTokens of [1000, 2000, 1000, 2000]) {
      world.submit(`known-${world.nowMs}`, {}, { promptTokens });
      world.end(`known-${world.nowMs}`, { promptTokens, prefillMs: promptTokens });
      world.pass(1);
    }
    world.submit("ahead", {}, { promptTokens: 4000, ...fields });
    return { world, startMs: only(world.submit("behind"), "AcceptTask")[0]?.answer.predictedStartMs ?? 0 };
  };
  const { world, startMs } = startBehind(many);
  assert.ok(startMs > 90 * startBehind({}).startMs, `It is to start in ${startMs} ms.`);
  const liveOf = (name: string) => world.orchestrator.state.jobs.get(`job-${name}`);
  assert.equal(liveOf("ahead")?.place?.kind, "running");
  const { cost, promptTokens, longestTokens } = liveOf("ahead") ?? assert.fail();
  assert.deepEqual([cost, promptTokens, longestTokens], [400_010, 400_000, 4000]);
  world.submit("waits", {}, many);
  recover(world);
  const again = liveOf("waits") ?? assert.fail();
  assert.deepEqual([again.cost, again.promptTokens, again.longestTokens], [400_010, 400_000, 4000]);
  assert.equal(again.place?.kind, "waiting");
});
