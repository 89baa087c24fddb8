import assert from "node:assert/strict";
import { test } from "node:test";
import type { Task } from "@llama-orch/contract";
import { facts, only, pool, settings, World } from "../fixtures/world.ts";

const kinds = ["a", "b"].map((id) => pool({ id, determinism: "best_effort" }));
const pin = (pinPoolId: string): Partial<Task> => ({
  placement: { mode: "pin", pinPoolId, preferPools: [], avoidPools: [], allowFallback: true },
});

/** Two sets of one model: `a` holds 8192 tokens and has an extension, `b` holds 4096. Both are busy. */
function busy(...waiting: string[]): World {
  const world = new World({ settings: settings({ pools: kinds }), ready: false });
  world.replica("a", "r", { facts: facts({ ctxMax: 8192, features: ["lora"] }) });
  for (const id of ["runs on a", ...waiting]) world.submit(id, { maxTokens: 500 });
  world.replica("b", "r", { facts: facts() });
  world.submit("runs on b", pin("b"));
  return world;
}

/** The pool `a` is configured no longer; its attempt ends. */
function retire(world: World): ReturnType<World["say"]> {
  const [, b] = kinds;
  const effects = world.say({
    type: "Configured",
    settings: settings({ pools: b === undefined ? [] : [b] }),
  });
  return [...effects, ...world.lose("runs on a")];
}

const ended = (effects: ReturnType<World["say"]>) =>
  only(effects, "EndTask").map(({ taskId, outcome }) => [
    taskId,
    "code" in outcome ? outcome.code : outcome.kind,
  ]);

test("what waits for a set that is gone moves, in its order, to another set that can run it", () => {
  const world = busy("1", "2", "3");
  const effects = retire(world);
  assert.deepEqual(ended(effects), []);
  for (const id of ["runs on b", "runs on a", "1", "2", "3"]) world.end(id);
  assert.deepEqual(
    world
      .of("DispatchAttempt")
      .slice(2)
      .map(({ jobId, poolId }) => [jobId.slice(4), poolId]),
    ["runs on a", "1", "2", "3"].map((id) => [id, "b"]),
  );
});

test("a task that no other set can hold, or that was pinned, ends at once instead of waiting for ever", () => {
  const world = busy();
  world.submit("long", { maxTokens: 5000 });
  world.submit("wide", { ctx: 8192 });
  world.submit("rich", {}, { extensions: ["lora"] });
  world.submit("pinned", pin("a"));
  assert.deepEqual(
    ended(retire(world)).sort(),
    ["long", "pinned", "rich", "wide"].map((id) => [id, "POOL_UNAVAILABLE"]),
  );
});

test("a pin goes with its pool, whether its task waits, runs or was delivered in part, and says so", () => {
  const world = new World({ settings: settings({ pools: kinds }), ready: false });
  for (const id of ["a", "b"]) world.replica(id, "r", { facts: facts({ slotsTotal: 2 }) });
  for (const id of ["delivered", "runs", "waits"]) world.submit(id, pin("a"));
  world.say({ type: "Configured", settings: settings({ pools: kinds.slice(1) }) });
  world.lose("delivered", { frames: 3, tokensOut: 3 });
  world.lose("runs");
  const why =
    "Its pool a is not configured any more; pools that serve m: b. Send the task again without the pin.";
  const told = Object.fromEntries(
    only(world.effects, "EndTask").map(({ taskId, outcome }) => [
      taskId,
      outcome.kind === "failed" && [outcome.code, outcome.message],
    ]),
  );
  assert.deepEqual(told, {
    delivered: ["WORKER_RESET", why],
    runs: ["POOL_UNAVAILABLE", why],
    waits: ["POOL_UNAVAILABLE", why],
  });
});

test("a task that fits nowhere any more is not told that nobody serves its model while others do", () => {
  const world = busy();
  world.submit("long", { maxTokens: 5000 });
  const [end] = only(retire(world), "EndTask");
  assert.equal(
    end?.outcome.kind === "failed" && end.outcome.message,
    "No pool can run the task any more, not even those that serve m (b). Send the task again when one can.",
  );
});

test("a strict task never moves to a pool that promises less", () => {
  const [strict, loose] = [pool({ id: "a" }), pool({ id: "b", determinism: "best_effort" })];
  const world = new World({ settings: settings({ pools: [strict, loose] }), ready: false });
  for (const id of ["a", "b"]) world.replica(id, "r");
  for (const id of ["1", "2"]) world.submit(id, { determinism: "strict" });
  world.submit("any", pin("a"));
  const effects = world.say({ type: "Configured", settings: settings({ pools: [loose] }) });
  assert.deepEqual(ended(effects).sort(), [
    ["2", "POOL_UNAVAILABLE"],
    ["any", "POOL_UNAVAILABLE"],
  ]);
});

test("a task that came while its replica was loading runs there once it is known what it serves", () => {
  const world = new World({ ready: false });
  const unknown = facts({ modelDigest: null, engineVersion: null });
  world.replica("p", "r0", { status: "loading", facts: unknown });
  world.submit("a");
  assert.deepEqual(world.attempts("a"), []);
  world.replica("p", "r0", { status: "ready", facts: facts() });
  assert.equal(world.attempts("a").length, 1);
  assert.equal(world.outcome("a"), undefined);
});

test("a task whose engines are gone waits for those that have not said yet what they serve", () => {
  for (const serves of ["the same", "another"]) {
    const world = new World();
    world.replica("p", "r0");
    world.submit("runs");
    world.submit("waits");
    const unknown = facts({ modelDigest: null, engineVersion: null });
    world.replica("p", "r1", { status: "loading", facts: unknown });
    world.say({ type: "ReplicaRemoved", poolId: "p", replicaId: "r0", reason: "node" });
    assert.equal(world.outcome("waits"), undefined);
    const modelDigest = serves === "the same" ? facts().modelDigest : `sha256:${"1".repeat(64)}`;
    world.replica("p", "r1", { status: "ready", facts: facts({ modelDigest }) });
    assert.equal(world.outcome("waits")?.kind, serves === "the same" ? undefined : "failed");
  }
});

test("a task that came while one replica was loading may run on another that serves the same model", () => {
  const world = new World({ ready: false });
  const unknown = facts({ modelDigest: null, engineVersion: null });
  world.replica("p", "r0", { status: "loading", facts: unknown });
  world.submit("a");
  world.replica("p", "r1", { status: "ready", facts: facts() });
  world.replica("p", "r0", { status: "failed", facts: facts({ modelDigest: `sha256:${"1".repeat(64)}` }) });
  assert.deepEqual(
    world.attempts("a").map(({ replicaId }) => replicaId),
    ["r1"],
  );
});
